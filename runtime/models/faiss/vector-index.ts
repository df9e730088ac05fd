/**
 * The port of nearest-neighbour search. A position is the row of a vector in the order in which the index was built.
 * Scores are inner products, larger is nearer: cosines where vectors have length 1, as all that we publish do. (Files with
 * the metric `l2` are read too; their scores are squared distances, smaller is nearer.)
 */

export type Metric = 'inner_product' | 'l2';

/** `flat` compares with every vector; `hnsw` walks a graph, `ivf` looks into some lists: faster, and not quite exact. */
export type IndexKind = 'flat' | 'hnsw' | 'ivf';

/** Who computes: FAISS's native module, or our own exact search where it is not to be had (not ivf). */
export type Engine = 'native' | 'exact';

/** The k nearest of every query, one query after another, nearest first; a position of -1: fewer were found (only hnsw and ivf). */
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
   * `vectors` holds `queries` rows of `dimension` numbers. Errors: 'invalid_data' when a number is not finite or the sizes
   * do not fit (k in 1..count); 'unavailable' and 'timeout' (both transient) when the process behind it died, hangs or
   * has too much to do; 'state' once closed.
   */
  search(vectors: Float32Array, queries: number, k: number): Promise<Found>;
  /** Ends the process behind it; what waits is rejected. May be called twice. */
  close(): Promise<void>;
}

export const DIMENSION_MAX = 4096;
/** Queries of one call, and of one batch. */
export const QUERIES_MAX = 1024;
/** Positions are 32-bit, in FAISS's graphs too. */
export const COUNT_MAX = 2 ** 31 - 1;
export const NEIGHBOURS_MAX = 2048;
