/**
 * The embedder port: texts to vectors. `onnx` is a sentence-transformers model from EMBEDDING_MODEL_DIR; `hashed` is
 * used without one: it compares letters, not meaning, so every display of its results says so. Vectors of different
 * models are never compared: `model` identifies weights, tokenizer and pooling, not just a family.
 */
type EmbedderKind = 'onnx' | 'hashed';

/** Distinguishes one model from another. */
export interface ModelInfo {
  /** Name and the first 12 hex digits of a hash over everything that affects the vectors. */
  readonly model: string;
  /** Length of a vector. */
  readonly dimension: number;
  readonly kind: EmbedderKind;
}

export interface Embedder extends ModelInfo {
  /**
   * One vector per text, row by row, each with L2 norm 1. A long text is cut to the model's limit. Equal texts give
   * vectors that agree to about 1e-6: the last bits may depend on the other texts of the batch. Throws 'state' when the
   * signal aborts or the embedder is closed; 'unavailable' when its thread has died (the next call starts another);
   * 'invalid_data' when the model returns values that are not numbers.
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array>;
  /** Ends the thread; waiting calls are rejected. Repeating is harmless. */
  close(): Promise<void>;
}

/** A model, in the thread that runs it. */
export interface Encoder extends ModelInfo {
  /** The batches to run for these texts; together they cover every row once. */
  plan(texts: readonly string[]): EncoderBatch[];
  close(): Promise<void>;
}

export interface EncoderBatch {
  /** Indices of the batch's texts, in the order of the vectors that run() returns. */
  readonly rows: readonly number[];
  /** L2-normalised vectors, one after the other. */
  run(): Promise<Float32Array>;
}

/** Scales row `row` of `vectors` to L2 norm 1; a row for which this is impossible is left unchanged. */
export function normalise(vectors: Float32Array, row: number, dimension: number): void {
  const start = row * dimension;
  let squares = 0;
  for (let i = start; i < start + dimension; i++) squares += vectors[i]! * vectors[i]!;
  const norm = Math.sqrt(squares);
  if (norm === 0 || !Number.isFinite(norm)) return;
  for (let i = start; i < start + dimension; i++) vectors[i] = vectors[i]! / norm;
}

/** The first row whose norm is not 1 within 1e-3 (NaN, infinite and zero rows included); -1 if there is none. */
export function badRow(vectors: Float32Array, dimension: number): number {
  for (let row = 0; row * dimension < vectors.length; row++) {
    let squares = 0;
    for (let i = row * dimension; i < (row + 1) * dimension; i++) squares += vectors[i]! * vectors[i]!;
    if (!(Math.abs(Math.sqrt(squares) - 1) < 1e-3)) return row;
  }
  return -1;
}
