/** Seeded vectors of length 1 in clusters, as embeddings are, and files of them. */
import { FlatWriter } from '../../../../../runtime/models/faiss/flat-writer.js';
import type { Metric } from '../../../../../runtime/models/faiss/vector-index.js';
import { Random } from '../../../../support/random.js';

export interface VectorsOptions {
  readonly seed: number;
  readonly count: number;
  readonly dimension: number;
  /** Default: one per hundred vectors. */
  readonly clusters?: number;
  /** Standard deviation of a vector around its centre (default 0.8). */
  readonly spread?: number;
}

export function clusteredVectors({ seed, count, dimension, clusters, spread = 0.8 }: VectorsOptions): Float32Array {
  const random = new Random(seed);
  const centres = new Float32Array((clusters ?? Math.max(1, Math.round(count / 100))) * dimension).map(() =>
    normal(random),
  );
  const vectors = new Float32Array(count * dimension);
  for (let row = 0; row < count; row++) {
    const centre = random.below(centres.length / dimension) * dimension;
    let squares = 0;
    for (let i = 0; i < dimension; i++) {
      const value = centres[centre + i]! + spread * normal(random);
      vectors[row * dimension + i] = value;
      squares += value * value;
    }
    for (let i = 0; i < dimension; i++)
      vectors[row * dimension + i] = vectors[row * dimension + i]! / Math.sqrt(squares);
  }
  return vectors;
}

/** Almost normally distributed, variance 1: the sum of three uniform numbers. */
function normal(random: Random): number {
  return 2 * (random.unit() + random.unit() + random.unit() - 1.5);
}

export async function writeFlat(
  path: string,
  vectors: Float32Array,
  dimension: number,
  metric: Metric = 'inner_product',
): Promise<void> {
  const writer = await FlatWriter.create(path, metric, dimension);
  for (let at = 0; at < vectors.length; at += dimension) await writer.add(vectors.subarray(at, at + dimension));
  await writer.finish();
}

/** The slow oracle: positions of the k largest inner products (or smallest distances), on ties the first. */
export function nearest(
  vectors: Float32Array,
  query: Float32Array,
  k: number,
  metric: Metric = 'inner_product',
): number[] {
  const scored = Array.from({ length: vectors.length / query.length }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < query.length; i++) {
      const value = vectors[row * query.length + i]!;
      sum += metric === 'l2' ? -((value - query[i]!) ** 2) : value * query[i]!;
    }
    return { row, score: Math.fround(sum) };
  });
  return scored
    .sort((a, b) => b.score - a.score || a.row - b.row)
    .slice(0, k)
    .map(({ row }) => row);
}
