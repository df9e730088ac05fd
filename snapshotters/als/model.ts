/** From captured pairs to a trained and evaluated model in memory. */
import { FreshetError } from '../../runtime/process/errors.js';
import { type Distribution, distributionOf } from './distribution.js';
import { ASKED_MAX, chooseAsked, type Evaluation, evaluate } from './evaluation.js';
import { type KernelHost, openKernelHost } from './kernel-host.js';
import { fillPairs, type Places, placesFor } from './model-memory.js';
import { type Captured, type Selection, select } from './selection.js';
import { SOURCE } from './source.js';
import { train } from './train.js';

export interface ModelSettings {
  readonly factors: number;
  readonly regularization: number;
  readonly iterations: number;
  readonly alpha: number;
  readonly seed: number;
  readonly threads: number;
  readonly interactionsMin: number;
  /** Most bytes that the model may take. */
  readonly bytesMax: number;
  readonly kernel?: 'plain';
}

export interface Model {
  readonly host: KernelHost;
  readonly places: Places;
  readonly selection: Selection;
  readonly evaluation: Evaluation;
  readonly users: Distribution;
  readonly products: Distribution;
  /** Time taken by each step. */
  readonly seconds: { readonly prepare: number; readonly train: number; readonly evaluate: number };
}

interface ModelOptions {
  readonly settings: ModelSettings;
  readonly captured: Captured;
  /** Called once the pairs are in the model's own memory. */
  readonly onCopied?: () => void;
  readonly progress?: (phase: string, done: number, total: number) => void;
}

/**
 * Trains twice: without the held-out pairs, for the figures, and with all pairs, which is what stays in memory. The
 * caller closes the host. Errors: FreshetError 'invalid_data' if no user is eligible, 'settings' if it does not fit.
 */
export async function makeModel(o: ModelOptions): Promise<Model> {
  const { settings, captured } = o;
  const { factors, iterations, regularization, seed, threads } = settings;
  const watch = stopwatch();
  const selection = select(captured, settings.interactionsMin);
  if (selection.pairs === 0) throw nobodyLeft(captured, selection, settings.interactionsMin);
  const sizes = { users: selection.users.count, products: selection.products.count, pairs: selection.pairs };
  const places = placesFor({ ...sizes, factors, threads, asked: Math.min(sizes.users, ASKED_MAX) });
  refuseTooLarge(places, settings.bytesMax, factors);
  const host = openKernelHost({ ...settings, bytes: places.bytes, scratch: places.scratch, width: places.width });
  try {
    fillPairs(host.memory, places, captured, selection, settings.alpha);
    o.onCopied?.();
    const asked = chooseAsked(host.memory, places, selection);
    const prepareSeconds = watch();
    const options = { factors, iterations, regularization, seed };
    const report = (done: number) => o.progress?.('train', done, 2 * iterations);
    await train(host, places, { ...options, withoutHeld: true, onIteration: report });
    const splitSeconds = watch();
    const evaluation = await evaluate(host, places, asked);
    const evaluateSeconds = watch();
    await train(host, places, { ...options, withoutHeld: false, onIteration: (done) => report(iterations + done) });
    const users = distributionOf(host.memory, places, places.users);
    const products = distributionOf(host.memory, places, places.products);
    const seconds = { prepare: prepareSeconds, train: splitSeconds + watch(), evaluate: evaluateSeconds };
    return { host, places, selection, evaluation, users, products, seconds };
  } catch (error) {
    await host.close();
    throw error;
  }
}

function nobodyLeft({ pairs }: Captured, { users, products }: Selection, minimum: number): FreshetError {
  const captured =
    pairs.pairs === 0
      ? `${SOURCE} contains no pair of a user and a product`
      : `none of ${users.leftOut} users and ${products.leftOut} products has ${minimum} interactions or more`;
  return new FreshetError(
    'invalid_data',
    `There is nothing to train a model on: ${captured}. Send events (interactions follow within minutes), or lower ` +
      'ALS_INTERACTIONS_MIN. The current version stays.',
  );
}

function refuseTooLarge({ bytes }: Places, bytesMax: number, factors: number): void {
  if (bytes <= bytesMax) return;
  const mib = (n: number) => Math.ceil(n / 2 ** 20);
  throw new FreshetError(
    'settings',
    `the model takes ${mib(bytes)} MiB, SNAPSHOT_MEMORY_MB leaves ${mib(bytesMax)} for it: raise it, or lower ALS_FACTORS ` +
      `(${factors}) or raise ALS_INTERACTIONS_MIN.`,
  );
}

/** Seconds since the previous call. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}
