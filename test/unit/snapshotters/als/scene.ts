/** Interactions as the topic holds them, and models of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadSettings, type Settings } from '../../../../assembly/settings.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Interactions } from '../../../../schemas/records.js';
import { InteractionsCapture } from '../../../../snapshotters/als/interactions-capture.js';
import { type Model, type ModelSettings, makeModel } from '../../../../snapshotters/als/model.js';
import type { SidePlace } from '../../../../snapshotters/als/model-memory.js';
import type { BuildContext } from '../../../../snapshotters/snapshotter.js';
import { columnsOf } from '../../../support/columns.js';
import { Random, Zipf } from '../../../support/random.js';

export const codec = new Codec();
const TOPIC = 'interactions.v1';

export interface Item {
  readonly product: string;
  readonly weight: number;
  readonly count?: number;
  readonly lastTs?: number;
}

/** A user's record; null: no interactions left. */
export type Row = readonly [user: string, items: readonly Item[] | null];

export function encoded(user: string, items: readonly Item[]): Buffer {
  const record: Interactions = {
    user_id: user,
    as_of: 0,
    items: items.map(({ product, weight, count, lastTs }) => ({
      product_id: product,
      weight,
      count: count ?? 5,
      last_ts: lastTs ?? 0,
      purchases: 0,
    })),
    truncated: 0,
  };
  return codec.encode('Interactions', record);
}

export function emptyCapture(bytes = 2 ** 30): InteractionsCapture {
  return new InteractionsCapture(codec, { bytes });
}

export function addRows(capture: InteractionsCapture, rows: readonly Row[]): InteractionsCapture {
  if (rows.length === 0) return capture;
  const records = rows.map(([user, items], offset) => ({
    key: user,
    value: items === null ? null : encoded(user, items),
    timestamp: 0,
    offset,
  }));
  const batch = columnsOf(TOPIC, 0, records);
  for (let row = 0; row < batch.count; row++) capture.add(batch, row);
  return capture;
}

/**
 * Users with a few tastes: most of what a user does is in the user's groups of products, the rest is popular with
 * everyone. The last interaction is a random one of them.
 */
export function tasteRows(seed: number, users: number, products: number, perUser: number): Row[] {
  const random = new Random(seed);
  const groups = Math.max(2, Math.round(products / 20));
  const inGroup = Math.floor(products / groups);
  const own = new Zipf(inGroup, 0.8);
  const all = new Zipf(products, 0.9);
  return Array.from({ length: users }, (_, user): Row => {
    const tastes = [random.below(groups), random.below(groups)];
    const chosen = new Map<number, number>();
    for (let tries = 0; chosen.size < perUser && tries < perUser * 10; tries++) {
      const product = random.unit() < 0.2 ? all.draw(random) : tastes[random.below(2)]! * inGroup + own.draw(random);
      chosen.set(product, (chosen.get(product) ?? 0) + 1);
    }
    const items = [...chosen].map(([product, weight], i) => ({
      product: `product-${product}`,
      weight,
      count: weight,
      lastTs: i,
    }));
    return [`user-${user}`, items];
  });
}

export const MODEL: ModelSettings = {
  factors: 16,
  regularization: 0.1,
  iterations: 5,
  alpha: 1,
  seed: 1,
  threads: 1,
  interactionsMin: 5,
  bytesMax: 2 ** 30,
};

/** A model that is closed with the test. */
export async function modelOf(t: TestContext, rows: readonly Row[], over: Partial<ModelSettings> = {}): Promise<Model> {
  const captured = addRows(emptyCapture(), rows);
  const model = await makeModel({ settings: { ...MODEL, ...over }, captured });
  t.after(() => model.host.close());
  return model;
}

/** A copy of one side's factors, with their padding. */
export function factorsOf({ host, places }: Model, side: SidePlace): Float32Array {
  return new Float32Array(host.memory, side.factors, (side.count * places.width) / 4).slice();
}

/** Build folder of a snapshotter; removed with the test. */
export async function buildContext(
  t: TestContext,
  environment: Readonly<Record<string, string>> = {},
  previous: BuildContext['previous'] = null,
): Promise<BuildContext & { readonly settings: Settings }> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-als-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const settings = loadSettings({ ALS_FACTORS: '16', ALS_ITERATIONS: '5', ALS_THREADS: '1', ...environment });
  return { folder, settings, previous, progress: () => undefined };
}
