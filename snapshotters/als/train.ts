/** Alternating least squares over a model's memory: factors from a seed, then both sides in turn. */
import { FreshetError } from '../../runtime/process/errors.js';
import { cholesky, inverseOfLower } from './cholesky.js';
import { GRAM_PARTS } from './kernel-calls.js';
import type { KernelHost } from './kernel-host.js';
import type { Places, SidePlace } from './model-memory.js';
import { SeededNumbers } from './seeded-numbers.js';

/** Steps of conjugate gradient per row and half step. */
export const STEPS = 3;
/** Factors start between 0 and this. */
const START_MAX = 0.01;
/**
 * λ is at least this share of the Gram matrix's trace: below it, float32 cannot distinguish a matrix that lacks a
 * direction (fewer rows than factors) from one that is not positive definite.
 */
const REGULARIZATION_SHARE_MIN = 1e-7;

interface TrainOptions {
  readonly factors: number;
  readonly iterations: number;
  /** λ > 0, added once, whatever the number of pairs. */
  readonly regularization: number;
  readonly seed: number;
  /** Trains without the held-out pairs. */
  readonly withoutHeld: boolean;
  readonly steps?: number;
  readonly onIteration?: (done: number) => void;
}

/** The same memory, options and seed give the same bits. Errors: FreshetError 'invalid_data' if factors overflow. */
export async function train(host: KernelHost, places: Places, o: TrainOptions): Promise<void> {
  const { users, products } = places;
  const numbers = new SeededNumbers(o.seed);
  start(host, places, products, o.factors, numbers);
  start(host, places, users, o.factors, numbers);
  for (let iteration = 1; iteration <= o.iterations; iteration++) {
    await halfStep(host, places, users, products, o, iteration);
    await halfStep(host, places, products, users, o, iteration);
    o.onIteration?.(iteration);
  }
}

/** Padding is 0 and stays 0 through every step. */
function start(host: KernelHost, { width }: Places, side: SidePlace, factors: number, numbers: SeededNumbers): void {
  const f32 = new Float32Array(host.memory);
  for (let row = 0; row < side.count; row++) {
    const at = side.factors / 4 + (row * width) / 4;
    for (let f = 0; f < factors; f++) f32[at + f] = numbers.unit() * START_MAX;
  }
}

async function halfStep(
  host: KernelHost,
  places: Places,
  solved: SidePlace,
  fixed: SidePlace,
  o: TrainOptions,
  iteration: number,
): Promise<void> {
  const { width, whitened, gramParts, enter, leave, whiten } = places;
  const rows = { rows: fixed.factors, count: fixed.count, width };
  await host.run({ kind: 'gram', ...rows, out: gramParts });
  if (!writeTriangles(host.memory, places, o.regularization)) {
    throw new FreshetError(
      'invalid_data',
      `the factors overflowed in iteration ${iteration}: raise ALS_REGULARIZATION or lower ALS_ALPHA.`,
    );
  }
  await host.run({ kind: 'whiten', ...rows, matrix: whiten, out: whitened });
  await host.run({
    kind: 'solve',
    rows: solved.factors,
    count: solved.count,
    width,
    starts: solved.starts,
    // Without a column of ends, a row ends where the next one begins.
    ends: o.withoutHeld ? solved.trainEnds : solved.starts + 4,
    pairs: solved.pairs,
    weights: solved.weights,
    fixed: whitened,
    steps: o.steps ?? STEPS,
    enter,
    leave,
  });
}

/** From the parts of the Gram matrix: L, L⁻¹ and L⁻ᵀ with YᵀY + λI = L Lᵀ. False: it is not positive definite. */
function writeTriangles(memory: ArrayBufferLike, places: Places, regularization: number): boolean {
  const { width, gramParts, enter, leave, whiten } = places;
  const f32 = new Float32Array(memory);
  const n = width / 4;
  const sum = new Float64Array(n * n);
  for (let part = 0; part < GRAM_PARTS; part++) {
    const at = gramParts / 4 + part * n * n;
    for (let g = 0; g < n; g++) for (let f = g; f < n; f++) sum[f * n + g]! += f32[at + g * n + f]!;
  }
  let trace = 0;
  for (let f = 0; f < n; f++) trace += sum[f * n + f]!;
  const lambda = Math.max(regularization, trace * REGULARIZATION_SHARE_MIN);
  for (let f = 0; f < n; f++) sum[f * n + f]! += lambda;
  const l = cholesky(sum, n);
  if (l === null) return false;
  const inverse = inverseOfLower(l, n);
  f32.set(l, enter / 4);
  f32.set(inverse, leave / 4);
  for (let g = 0; g < n; g++) for (let f = 0; f < n; f++) f32[whiten / 4 + g * n + f] = inverse[f * n + g]!;
  return true;
}
