/**
 * A published recommendation model, for serving: its products in two indexes (factor-files.ts says which), each in a
 * process of its own. The users' factors stay in the stores. From HNSW_FROM products on, the indexes are graphs, built
 * here beside the version that serves meanwhile; without FAISS's native module they are searched exactly.
 */
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { FreshetError } from '../../runtime/errors.js';
import { buildIndex } from '../../runtime/faiss/build-index.js';
import { planBuild } from '../../runtime/faiss/build-plan.js';
import { FLAT_DATA_AT, FLOAT_BYTES, writeBreadth } from '../../runtime/faiss/index-file.js';
import { type OpenIndex, type OpenIndexOptions, openIndex } from '../../runtime/faiss/open-index.js';
import { NEIGHBOURS_MAX } from '../../runtime/faiss/vector-index.js';
import { IdTable } from '../../snapshotters/faiss/id-table.js';
import { HNSW_FROM } from '../../snapshotters/faiss/kind.js';
import type { Scored } from './blend.js';
import { FACTOR_IDS, lengthOf, makeFactorFiles, NEIGHBOURS_FLAT, PRODUCTS_FLAT } from './factor-files.js';

export interface FactorVersion {
  readonly count: number;
  /** Processes of the indexes, to look at. */
  readonly indexes: readonly OpenIndex[];
  /**
   * The products with the largest inner product with a user's factors, those of `leftOut` aside; at most `limit`, best
   * first. Errors: 'invalid_data' for another number of factors; those of VectorIndex.search.
   */
  recommend(factors: Float32Array, limit: number, leftOut: ReadonlySet<string>): Promise<Scored[]>;
  /** The products with the largest cosine with this one, itself aside; null: the model does not know it. */
  similar(productId: string, limit: number): Promise<Scored[] | null>;
  close(): Promise<void>;
}

export type OpenFactorsOptions = Omit<OpenIndexOptions, 'path'> & {
  /** From so many products on a graph is built; for tests. */
  readonly graphFrom?: number;
  /** Gives up building a graph. */
  readonly signal?: AbortSignal;
};

/** Width of a search in a graph: more is more exact and slower. */
const EF_SEARCH = 96;
export const FOLDER_PREFIX = 'freshet-als-';

/** Errors: 'invalid_data' when the version is damaged or empty, 'unavailable' when a process ended while it loaded. */
export async function openFactorVersion(folder: string, options: OpenFactorsOptions): Promise<FactorVersion> {
  const { graphFrom = HNSW_FROM, signal, ...searching } = options;
  const work = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  const opened: { close(): Promise<void> }[] = [];
  try {
    const { count, factors, lengthMax } = await makeFactorFiles(folder, work);
    const ids = await IdTable.read(join(work, FACTOR_IDS), count);
    const rows = await open(join(work, NEIGHBOURS_FLAT), 'r');
    opened.push(rows);
    const indexes: OpenIndex[] = [];
    for (const name of [PRODUCTS_FLAT, NEIGHBOURS_FLAT]) {
      const wantsGraph = count >= graphFrom;
      const index = await openBest(join(work, name), { wantsGraph, signal, searching });
      opened.push(index);
      indexes.push(index);
    }
    const [products, neighbours] = indexes as [OpenIndex, OpenIndex];
    return new OpenVersion({ work, count, factors, lengthMax, ids, rows, products, neighbours });
  } catch (error) {
    for (const one of opened) await one.close();
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

interface Wanted {
  readonly wantsGraph: boolean;
  readonly signal: AbortSignal | undefined;
  readonly searching: Omit<OpenIndexOptions, 'path'>;
}

/** A graph where the number of products asks for it and FAISS is there to build it. */
async function openBest(flat: string, { wantsGraph, signal, searching }: Wanted): Promise<OpenIndex> {
  const index = await openIndex({ ...searching, path: flat });
  if (!wantsGraph || index.engine !== 'native') return index;
  const { dimension, count } = index;
  await index.close();
  const out = `${flat}.hnsw`;
  const plan = planBuild('hnsw', { vectors: flat, out, dimension, count });
  // One thread, and that one last: the version that serves meanwhile goes first.
  const priority = constants.priority.PRIORITY_LOW;
  await buildIndex({ plan, threads: 1, priority, ...(signal === undefined ? {} : { signal }) });
  await writeBreadth(out, EF_SEARCH);
  return openIndex({ ...searching, path: out });
}

interface Parts {
  readonly work: string;
  readonly count: number;
  readonly factors: number;
  readonly lengthMax: number;
  readonly ids: IdTable;
  /** Of the flat file of cosines: where a product's own vector is read from. */
  readonly rows: FileHandle;
  readonly products: OpenIndex;
  readonly neighbours: OpenIndex;
}

class OpenVersion implements FactorVersion {
  readonly count: number;
  readonly indexes: readonly OpenIndex[];
  readonly #parts: Parts;
  #closing: Promise<void> | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.count = parts.count;
    this.indexes = [parts.products, parts.neighbours];
  }

  async recommend(factors: Float32Array, limit: number, leftOut: ReadonlySet<string>): Promise<Scored[]> {
    const { products, lengthMax, factors: width } = this.#parts;
    if (factors.length !== width)
      throw new FreshetError('invalid_data', `A user has ${factors.length} factors, the products have ${width}.`);
    const length = lengthOf(factors);
    if (length === 0) return [];
    const query = new Float32Array(width + 1);
    for (let i = 0; i < width; i++) query[i] = factors[i]! / length;
    const wanted = limit + leftOut.size;
    return this.#nearest(products, query, wanted, limit, (id) => leftOut.has(id), length * lengthMax);
  }

  async similar(productId: string, limit: number): Promise<Scored[] | null> {
    const { ids, rows, neighbours, factors } = this.#parts;
    const position = ids.positionOf(productId);
    if (position < 0) return null;
    const query = new Float32Array(factors);
    const bytes = factors * FLOAT_BYTES;
    const { bytesRead } = await rows.read(new Uint8Array(query.buffer), 0, bytes, FLAT_DATA_AT + position * bytes);
    if (bytesRead !== bytes) throw new FreshetError('internal', `The factors end before position ${position}.`);
    // Nobody has told it anything: it is near to nothing.
    if (lengthOf(query) === 0) return null;
    return this.#nearest(neighbours, query, limit + 1, limit, (id) => id === productId, 1);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { work, products, neighbours, rows } = this.#parts;
    await Promise.all([products.close(), neighbours.close(), rows.close()]);
    await rm(work, { recursive: true, force: true });
  }

  async #nearest(
    index: OpenIndex,
    query: Float32Array,
    wanted: number,
    limit: number,
    isLeftOut: (id: string) => boolean,
    scale: number,
  ): Promise<Scored[]> {
    const k = Math.min(wanted, this.count, NEIGHBOURS_MAX);
    const { positions, scores } = await index.search(query, 1, k);
    const found: Scored[] = [];
    for (let i = 0; i < k && found.length < limit; i++) {
      const position = positions[i]!;
      if (position < 0) continue;
      const id = this.#parts.ids.idAt(position);
      if (!isLeftOut(id)) found.push({ product_id: id, score: scores[i]! * scale });
    }
    return found;
  }
}
