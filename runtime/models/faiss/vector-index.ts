/**
 * The port for nearest-neighbour search. A position is the row of a vector in the order in which the index was built.
 * Scores are inner products, larger is nearer: cosines for vectors of length 1, as all published ones are. (Files with
 * the metric `l2` can be read too; their scores are squared distances, smaller is nearer.)
 */

export type Metric = 'inner_product' | 'l2';

/** `flat` compares with every vector; `hnsw` walks a graph, `ivf` searches some lists: faster, but not quite exact. */
export type IndexKind = 'flat' | 'hnsw' | 'ivf';

/** The engine: FAISS's native module, or our own exact search where it is not available (not for ivf). */
export type Engine = 'native' | 'exact';

/** The k nearest of every query in turn, nearest first; position -1: fewer were found (only hnsw and ivf). */
export interface Found {
  readonly positions: Int32Array;
  readonly scores: Float32Array;
}

export interface VectorIndex {
  readonly kind: IndexKind;
  readonly engine: Engine;
  readonly metric: Metric;
  readonly dimension: number;
  readonly count: number;
  /**
   * `vectors` has `queries` rows of `dimension` numbers. Throws 'invalid_data' when a number is not finite or the sizes
   * do not fit (k in 1..count); 'unavailable' and 'timeout' (both transient) when the process died, hangs or is
   * overloaded; 'state' once closed.
   */
  search(vectors: Float32Array, queries: number, k: number): Promise<Found>;
  /** Ends the process; waiting searches are rejected. May be called twice. */
  close(): Promise<void>;
}

export const DIMENSION_MAX = 4096;
/** Queries of one call, and of one batch. */
export const QUERIES_MAX = 1024;
/** Positions have 32 bits, in FAISS's graphs too. */
export const COUNT_MAX = 2 ** 31 - 1;
export const NEIGHBOURS_MAX = 2048;
