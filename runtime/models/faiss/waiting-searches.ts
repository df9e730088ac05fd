/**
 * Searches that wait for the process, and how they are batched: those that arrive during one batch form the next,
 * because FAISS answers 32 queries at once in a fraction of the time of 32 single ones.
 */
import { FreshetError } from '../../process/errors.js';
import type { Found } from './vector-index.js';

export interface WaitingSearch {
  readonly vectors: Float32Array;
  readonly queries: number;
  readonly k: number;
  resolve(found: Found): void;
  reject(error: Error): void;
}

export interface Batch {
  readonly searches: readonly WaitingSearch[];
  readonly vectors: Float32Array;
  readonly queries: number;
  /** The largest k of the searches: each gets the first ones of its results. */
  readonly k: number;
}

export class WaitingSearches {
  readonly #queriesMax: number;
  readonly #waiting = new Set<WaitingSearch>();
  #queries = 0;

  constructor(queriesMax: number) {
    this.#queriesMax = queriesMax;
  }

  get queries(): number {
    return this.#queries;
  }

  /** Throws 'unavailable' when too many are waiting already. */
  add(search: WaitingSearch): void {
    if (this.#queries + search.queries > this.#queriesMax)
      throw new FreshetError('unavailable', `${this.#queries} searches are already waiting; try again later.`);
    this.#waiting.add(search);
    this.#queries += search.queries;
  }

  /** True if it was still waiting. */
  remove(search: WaitingSearch): boolean {
    if (!this.#waiting.delete(search)) return false;
    this.#queries -= search.queries;
    return true;
  }

  /** Removes as many as fit, at least one, the longest waiting first; null if none is waiting. */
  take(batchQueriesMax: number): Batch | null {
    const searches: WaitingSearch[] = [];
    let queries = 0;
    let k = 0;
    for (const search of this.#waiting) {
      if (searches.length > 0 && queries + search.queries > batchQueriesMax) break;
      searches.push(search);
      queries += search.queries;
      k = Math.max(k, search.k);
    }
    if (searches.length === 0) return null;
    for (const search of searches) this.remove(search);
    return { searches, vectors: joined(searches), queries, k };
  }

  rejectAll(error: Error): void {
    for (const search of [...this.#waiting]) {
      this.remove(search);
      search.reject(error);
    }
  }
}

/** Gives every search of a batch its part of the results. */
export function deal({ searches, k }: Batch, { positions, scores }: Found): void {
  let row = 0;
  for (const search of searches) {
    const from = row * k;
    row += search.queries;
    if (search.k === k) {
      search.resolve({ positions: positions.slice(from, row * k), scores: scores.slice(from, row * k) });
      continue;
    }
    const own = {
      positions: new Int32Array(search.queries * search.k),
      scores: new Float32Array(search.queries * search.k),
    };
    for (let query = 0; query < search.queries; query++) {
      const at = from + query * k;
      own.positions.set(positions.subarray(at, at + search.k), query * search.k);
      own.scores.set(scores.subarray(at, at + search.k), query * search.k);
    }
    search.resolve(own);
  }
}

function joined(searches: readonly WaitingSearch[]): Float32Array {
  if (searches.length === 1) return searches[0]!.vectors;
  const all = new Float32Array(searches.reduce((sum, { vectors }) => sum + vectors.length, 0));
  let at = 0;
  for (const { vectors } of searches) {
    all.set(vectors, at);
    at += vectors.length;
  }
  return all;
}
