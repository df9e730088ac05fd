/**
 * Exact search in plain JavaScript: used where FAISS's native module is not available, and the oracle where it is. A
 * block of rows is read once for four queries, whose sums do not depend on each other.
 */
import type { Found, Metric } from './vector-index.js';

const QUERIES_PER_PASS = 4;
/** Rows that are contiguous in memory; also the part kept in the cache for all queries of a call. */
export const BLOCK_ROWS = 256;

export class ExactSearch {
  readonly dimension: number;
  readonly metric: Metric;
  readonly #blocks: Float32Array[] = [];
  #count = 0;

  constructor(dimension: number, metric: Metric) {
    this.dimension = dimension;
    this.metric = metric;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes over whole rows: BLOCK_ROWS at a time, fewer only in the last call. */
  addBlock(rows: Float32Array): void {
    this.#blocks.push(rows);
    this.#count += rows.length / this.dimension;
  }

  /** Scores: inner products, larger first, or squared distances, smaller first. On ties, the lower position first. */
  search(vectors: Float32Array, queries: number, k: number): Found {
    const positions = new Int32Array(queries * k).fill(-1);
    const scores = new Float32Array(queries * k);
    const nearest = Array.from({ length: queries }, (_, query) => new Nearest(positions, scores, query * k, k));
    const sums = new Float64Array(QUERIES_PER_PASS);
    for (const [block, rows] of this.#blocks.entries()) {
      for (let first = 0; first < queries; first += QUERIES_PER_PASS) {
        const among = Math.min(QUERIES_PER_PASS, queries - first);
        for (let row = 0, at = 0; at < rows.length; row++, at += this.dimension) {
          if (this.metric === 'inner_product') products(sums, vectors, first, among, rows, at, this.dimension);
          else distances(sums, vectors, first, among, rows, at, this.dimension);
          for (let query = 0; query < among; query++)
            nearest[first + query]!.offer(block * BLOCK_ROWS + row, sums[query]!);
        }
      }
    }
    // Distances were ranked as negative numbers.
    if (this.metric === 'l2') for (let i = 0; i < scores.length; i++) scores[i] = -scores[i]!;
    return { positions, scores };
  }
}

/** Inner products of one row with up to four queries. Four written-out sums: a loop takes three times as long. */
function products(
  sums: Float64Array,
  vectors: Float32Array,
  first: number,
  among: number,
  rows: Float32Array,
  at: number,
  dimension: number,
): void {
  const a = first * dimension;
  if (among === QUERIES_PER_PASS) {
    const b = a + dimension;
    const c = b + dimension;
    const d = c + dimension;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0; i < dimension; i++) {
      const value = rows[at + i]!;
      s0 += value * vectors[a + i]!;
      s1 += value * vectors[b + i]!;
      s2 += value * vectors[c + i]!;
      s3 += value * vectors[d + i]!;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    return;
  }
  for (let query = 0; query < among; query++) {
    const from = a + query * dimension;
    // Four sums for one query: an addition takes longer than starting the next one.
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let i = 0;
    for (; i + 4 <= dimension; i += 4) {
      s0 += rows[at + i]! * vectors[from + i]!;
      s1 += rows[at + i + 1]! * vectors[from + i + 1]!;
      s2 += rows[at + i + 2]! * vectors[from + i + 2]!;
      s3 += rows[at + i + 3]! * vectors[from + i + 3]!;
    }
    for (; i < dimension; i++) s0 += rows[at + i]! * vectors[from + i]!;
    sums[query] = s0 + s1 + (s2 + s3);
  }
}

/** Squared distances as negative numbers: larger is nearer, as with products. */
function distances(
  sums: Float64Array,
  vectors: Float32Array,
  first: number,
  among: number,
  rows: Float32Array,
  at: number,
  dimension: number,
): void {
  for (let query = 0; query < among; query++) {
    const from = (first + query) * dimension;
    let sum = 0;
    for (let i = 0; i < dimension; i++) {
      const difference = rows[at + i]! - vectors[from + i]!;
      sum += difference * difference;
    }
    sums[query] = -sum;
  }
}

/** The best k so far of one query, in its part of the result, best first. */
class Nearest {
  readonly #positions: Int32Array;
  readonly #scores: Float32Array;
  readonly #from: number;
  readonly #k: number;
  #held = 0;
  #least = Number.NEGATIVE_INFINITY;

  constructor(positions: Int32Array, scores: Float32Array, from: number, k: number) {
    this.#positions = positions;
    this.#scores = scores;
    this.#from = from;
    this.#k = k;
  }

  /** Positions arrive in ascending order, so a later equal one ranks lower. */
  offer(position: number, exact: number): void {
    const score = Math.fround(exact);
    if (this.#held === this.#k) {
      if (score <= this.#least) return;
    } else this.#held++;
    let at = this.#from + this.#held - 1;
    while (at > this.#from && this.#scores[at - 1]! < score) {
      this.#scores[at] = this.#scores[at - 1]!;
      this.#positions[at] = this.#positions[at - 1]!;
      at--;
    }
    this.#scores[at] = score;
    this.#positions[at] = position;
    if (this.#held === this.#k) this.#least = this.#scores[this.#from + this.#k - 1]!;
  }
}
