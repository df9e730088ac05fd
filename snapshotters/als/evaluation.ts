/**
 * How well a model predicts the one interaction of each user that it has not seen.
 *
 * Split: for every user with at least two eligible pairs, the pair with the latest `last_ts` is held out (on a tie, the
 * product whose id comes last in byte order). The model is trained on all other pairs, of all users.
 * Evaluated: those users; if more than ASKED_MAX, an evenly spaced subset, in byte order of their ids.
 * Candidates: all eligible products except those of the user's other pairs.
 * Rank: the number of candidates that score as high as the held-out product or higher, excluding itself: ties count
 * against it.
 * NDCG@10: 1 / log2(rank + 2) for a rank below 10, otherwise 0 (one relevant product, so the ideal is 1). Recall@20: 1
 * for a rank below 20, otherwise 0. Both are means over the evaluated users.
 * Popularity: the same users and candidates, scored by the sum of a product's weights in the training pairs.
 */
import type { KernelHost } from './kernel-host.js';
import type { Places } from './model-memory.js';
import type { Selection } from './selection.js';

export const ASKED_MAX = 20_000;
const NDCG_AT = 10;
const RECALL_AT = 20;

export interface Quality {
  readonly ndcg: number;
  readonly recall: number;
}

export interface Evaluation {
  /** Users whose last interaction was held out. */
  readonly heldOut: number;
  readonly asked: number;
  readonly candidates: number;
  readonly model: Quality;
  readonly popularity: Quality;
  /** Standard error of the model's NDCG, and of its lead over popularity. */
  readonly ndcgError: number;
  readonly leadError: number;
}

/** Chooses the users to evaluate and writes them and their held-out products where `evaluate` looks for them. */
export function chooseAsked(
  memory: ArrayBufferLike,
  places: Places,
  { users }: Selection,
): { heldOut: number; asked: number } {
  const u32 = new Uint32Array(memory);
  const { starts, trainEnds, pairs } = places.users;
  const candidates = users.byName.filter((row) => u32[trainEnds / 4 + row]! < u32[starts / 4 + row + 1]!);
  const asked = Math.min(candidates.length, ASKED_MAX);
  for (let i = 0; i < asked; i++) {
    const row = candidates[Math.floor((i * candidates.length) / asked)]!;
    u32[places.asked / 4 + i] = row;
    u32[places.held / 4 + i] = u32[pairs / 4 + u32[trainEnds / 4 + row]!]!;
  }
  return { heldOut: candidates.length, asked };
}

/** Evaluates a model trained without the held-out pairs, whose factors are finite. */
export async function evaluate(
  host: KernelHost,
  places: Places,
  { heldOut, asked }: { heldOut: number; asked: number },
): Promise<Evaluation> {
  const { users, products, width } = places;
  await host.run({
    kind: 'rank',
    asked: places.asked,
    held: places.held,
    count: asked,
    out: places.ranks,
    width,
    users: users.factors,
    items: products.factors,
    itemCount: products.count,
    starts: users.starts,
    ends: users.trainEnds,
    pairs: users.pairs,
  });
  const u32 = new Uint32Array(host.memory);
  const model = u32.subarray(places.ranks / 4, places.ranks / 4 + asked);
  const popularity = popularityRanks(host.memory, places, asked);
  const gains = Float64Array.from(model, gainOf);
  const leads = gains.map((gain, i) => gain - gainOf(popularity[i]!));
  return {
    heldOut,
    asked,
    candidates: products.count,
    model: qualityOf(model),
    popularity: qualityOf(popularity),
    ndcgError: standardError(gains),
    leadError: standardError(leads),
  };
}

/** Sums of training weights per product. */
function popularityOf(memory: ArrayBufferLike, { products }: Places): Float64Array {
  const u32 = new Uint32Array(memory);
  const f32 = new Float32Array(memory);
  const sums = new Float64Array(products.count);
  for (let row = 0; row < sums.length; row++) {
    const end = u32[products.trainEnds / 4 + row]!;
    for (let at = u32[products.starts / 4 + row]!; at < end; at++) sums[row]! += f32[products.weights / 4 + at]!;
  }
  return sums;
}

function popularityRanks(memory: ArrayBufferLike, places: Places, asked: number): Uint32Array {
  const u32 = new Uint32Array(memory);
  const { starts, trainEnds, pairs } = places.users;
  const sums = popularityOf(memory, places);
  const sorted = sums.slice().sort();
  const ranks = new Uint32Array(asked);
  for (let i = 0; i < asked; i++) {
    const user = u32[places.asked / 4 + i]!;
    const threshold = sums[u32[places.held / 4 + i]!]!;
    let rank = sorted.length - firstAtLeast(sorted, threshold) - 1;
    const end = u32[trainEnds / 4 + user]!;
    for (let at = u32[starts / 4 + user]!; at < end; at++) if (sums[u32[pairs / 4 + at]!]! >= threshold) rank--;
    ranks[i] = rank;
  }
  return ranks;
}

function firstAtLeast(sorted: Float64Array, threshold: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

function gainOf(rank: number): number {
  return rank < NDCG_AT ? 1 / Math.log2(rank + 2) : 0;
}

function qualityOf(ranks: Uint32Array): Quality {
  let gain = 0;
  let found = 0;
  for (const rank of ranks) {
    gain += gainOf(rank);
    if (rank < RECALL_AT) found++;
  }
  const n = Math.max(1, ranks.length);
  return { ndcg: gain / n, recall: found / n };
}

/** Standard error of the mean; 0 for fewer than two values. */
function standardError(values: Float64Array): number {
  const n = values.length;
  if (n < 2) return 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return Math.sqrt(variance / n);
}
