/**
 * The embedder port: texts to vectors. `onnx` is a sentence-transformers model from EMBEDDING_MODEL_DIR; `hashed` stands
 * in where there is none: it sees letters, not meaning, so whoever shows its results says so. Vectors of different models
 * are never compared: `model` names weights, tokenizer and pooling, not just a family.
 */
type EmbedderKind = 'onnx' | 'hashed';

/** What tells one model from another. */
export interface ModelInfo {
  /** Name and the first 12 hex digits of a hash over everything that the vectors depend on. */
  readonly model: string;
  /** Numbers per vector. */
  readonly dimension: number;
  readonly kind: EmbedderKind;
}

export interface Embedder extends ModelInfo {
  /**
   * One vector per text, row by row, each with L2 norm 1. A long text is cut to what the model takes. Equal texts give
   * vectors equal to about 1e-6: their last bits may depend on what stood in the same batch.
   * Errors: 'state' when the signal aborts or the embedder is closed; 'unavailable' when its thread has died (the next
   * call starts another one); 'invalid_data' when the model gives what is no number.
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array>;
  /** Ends the thread; what waits is refused. Twice is harmless. */
  close(): Promise<void>;
}

/** A model in the thread that runs it. */
export interface Encoder extends ModelInfo {
  /** What to run for these texts; together the batches give every row once. */
  plan(texts: readonly string[]): EncoderBatch[];
  close(): Promise<void>;
}

export interface EncoderBatch {
  /** Which of the texts, by index, in the order of the vectors that run() gives. */
  readonly rows: readonly number[];
  /** L2-normalised vectors, one after the other. */
  run(): Promise<Float32Array>;
}

/** Brings row `row` of `vectors` to L2 norm 1. Throws nothing: a row that cannot be brought there is left as it is. */
export function normalise(vectors: Float32Array, row: number, dimension: number): void {
  const start = row * dimension;
  let squares = 0;
  for (let i = start; i < start + dimension; i++) squares += vectors[i]! * vectors[i]!;
  const norm = Math.sqrt(squares);
  if (norm === 0 || !Number.isFinite(norm)) return;
  for (let i = start; i < start + dimension; i++) vectors[i] = vectors[i]! / norm;
}

/** The first row that has not norm 1 within 1e-3 (NaN, infinite and zero rows are such); -1 when there is none. */
export function badRow(vectors: Float32Array, dimension: number): number {
  for (let row = 0; row * dimension < vectors.length; row++) {
    let squares = 0;
    for (let i = row * dimension; i < (row + 1) * dimension; i++) squares += vectors[i]! * vectors[i]!;
    if (!(Math.abs(Math.sqrt(squares) - 1) < 1e-3)) return row;
  }
  return -1;
}
