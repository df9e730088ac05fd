/**
 * The search engines of a FAISS process: the native module, or our own exact code over the vectors of a file, which are
 * in order in a graph as well.
 */
import { FreshetError, messageOf } from '../../process/errors.js';
import { BLOCK_ROWS, ExactSearch } from './exact-search.js';
import { type IndexFile, readIndexFile } from './index-file.js';
import type { EngineChoice } from './messages.js';
import { loadNative, type NativeIndex } from './native.js';
import { RowReader } from './row-reader.js';
import type { Engine, Found } from './vector-index.js';

export interface SearchEngine {
  readonly engine: Engine;
  readonly dimension: number;
  readonly count: number;
  /** Blocks. The caller has checked the arguments. */
  search(vectors: Float32Array, queries: number, k: number): Found;
}

/** Throws 'invalid_data' for a damaged file; 'settings' when no engine here can search it. */
export async function openEngine(path: string, choice: EngineChoice): Promise<SearchEngine> {
  const file = await readIndexFile(path);
  if (choice === 'exact') return openExact(path, file);
  const loaded = await loadNative();
  if ('native' in loaded) {
    let index: NativeIndex;
    try {
      index = loaded.native.read(path);
    } catch (error) {
      throw new FreshetError('invalid_data', `FAISS cannot read ${path}: ${messageOf(error)}`);
    }
    if (index.dimension !== file.dimension || index.count !== file.count)
      throw new FreshetError('invalid_data', `FAISS reads ${path} as ${index.count} × ${index.dimension}.`);
    return new NativeEngine(index);
  }
  if (choice === 'native' || !('at' in file.vectors))
    throw new FreshetError('settings', `An index of kind ${file.kind} cannot be searched here: ${loaded.missing}.`);
  return openExact(path, file);
}

class NativeEngine implements SearchEngine {
  readonly engine = 'native';
  readonly #index: NativeIndex;

  constructor(index: NativeIndex) {
    this.#index = index;
  }

  get dimension(): number {
    return this.#index.dimension;
  }

  get count(): number {
    return this.#index.count;
  }

  search(vectors: Float32Array, _queries: number, k: number): Found {
    const { distances, labels } = this.#index.search(vectors, k);
    // If fewer neighbours were found, FAISS leaves the smallest possible number.
    for (let i = 0; i < labels.length; i++) if (labels[i]! < 0) distances[i] = 0;
    return { positions: labels, scores: distances };
  }
}

async function openExact(path: string, { kind, metric, dimension, count, vectors }: IndexFile): Promise<SearchEngine> {
  if (!('at' in vectors))
    throw new FreshetError('settings', `${path} is an index of kind ${kind}, which the exact search does not read.`);
  const exact = new ExactSearch(dimension, metric);
  const reader = await RowReader.open(path, dimension, vectors.at);
  try {
    for (let from = 0; from < count; from += BLOCK_ROWS)
      exact.addBlock(await reader.rows(from, Math.min(count, from + BLOCK_ROWS)));
  } finally {
    await reader.close();
  }
  return {
    engine: 'exact',
    dimension,
    count,
    search: (vectors, queries, k) => exact.search(vectors, queries, k),
  };
}
