/**
 * Share of the true nearest neighbours that an index finds. The queries are products of the index, spread evenly, for
 * their ten nearest others, or any other vectors, for their ten nearest. A result counts as found if it is as near as
 * the tenth of the exact answer, so that equal vectors are interchangeable.
 */
import type { Found, VectorIndex } from './vector-index.js';

const NEIGHBOURS = 10;
/** Another engine adds the terms of a sum in another order. */
const TOLERANCE = 1e-5;
const QUERIES_AT_ONCE = 32;

export interface Sample {
  /** The product of each query; −1: not a product of the index. */
  readonly positions: Int32Array;
  readonly vectors: Float32Array;
}

export interface Truth {
  readonly sample: Sample;
  /** The k nearest of every product of the sample, including itself. */
  readonly found: Found;
  readonly k: number;
}

export interface Measured {
  /** Mean share of the ten nearest others that were found; 1 if there are no others. */
  readonly recall: number;
  /** Share of products that were found first, or with the same score as the first. */
  readonly selfFirst: number;
}

/** Positions of a sample: evenly spread, always the same. */
export function samplePositions(count: number, wanted: number): Int32Array {
  const size = Math.min(count, wanted);
  return Int32Array.from({ length: size }, (_, i) => Math.floor(((i + 0.5) * count) / size));
}

export async function exactAnswers(index: VectorIndex, sample: Sample): Promise<Truth> {
  const k = Math.min(index.count, NEIGHBOURS + 1);
  return { sample, k, found: await searchAll(index, sample, k) };
}

export async function measure(index: VectorIndex, { sample, k, found: exact }: Truth): Promise<Measured> {
  const found = await searchAll(index, sample, k);
  let recall = 0;
  let selfFirst = 0;
  for (const [query, own] of sample.positions.entries()) {
    const first = query * k;
    const selfScore = scoreOf(exact, first, k, own);
    const nearest = found.positions[first]!;
    if (nearest === own || (nearest >= 0 && found.scores[first]! >= selfScore - TOLERANCE)) selfFirst++;
    const truths = others(exact, first, k, own);
    if (truths.length === 0) {
      recall++;
      continue;
    }
    const least = truths.at(-1)! - TOLERANCE;
    const hits = others(found, first, k, own)
      .slice(0, truths.length)
      .filter((score) => score >= least).length;
    recall += hits / truths.length;
  }
  const queries = sample.positions.length;
  return { recall: recall / queries, selfFirst: selfFirst / queries };
}

/** Scores of the nearest others, at most ten. */
function others({ positions, scores }: Found, first: number, k: number, own: number): number[] {
  const kept: number[] = [];
  for (let i = first; i < first + k && kept.length < NEIGHBOURS; i++)
    if (positions[i] !== own && positions[i]! >= 0) kept.push(scores[i]!);
  return kept;
}

/** With more equal vectors than fit, a product may be missing from its own neighbours: they all have its score. */
function scoreOf({ positions, scores }: Found, first: number, k: number, own: number): number {
  const at = positions.indexOf(own, first);
  return scores[at >= 0 && at < first + k ? at : first]!;
}

async function searchAll(index: VectorIndex, { positions, vectors }: Sample, k: number): Promise<Found> {
  const all = { positions: new Int32Array(positions.length * k), scores: new Float32Array(positions.length * k) };
  for (let from = 0; from < positions.length; from += QUERIES_AT_ONCE) {
    const queries = Math.min(QUERIES_AT_ONCE, positions.length - from);
    const part = vectors.subarray(from * index.dimension, (from + queries) * index.dimension);
    const found = await index.search(part, queries, k);
    all.positions.set(found.positions, from * k);
    all.scores.set(found.scores, from * k);
  }
  return all;
}
