/**
 * A published version of the index, for serving: its products by id, its vectors in a separate process, which checks
 * the folder against its manifest before loading them. The next version is opened alongside it and takes over between
 * two requests.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { INDEX_FILE } from '../../publishing/versions/artefacts/faiss.js';
import { MANIFEST_FILE } from '../../publishing/versions/manifest.js';
import { readIndexFile, vectorOffsets } from '../../runtime/models/faiss/index-file.js';
import { type OpenIndex, type OpenIndexOptions, openIndex } from '../../runtime/models/faiss/open-index.js';
import { NEIGHBOURS_MAX } from '../../runtime/models/faiss/vector-index.js';
import { fileToVerify } from '../../runtime/models/faiss/verify-file.js';
import { FreshetError, messageOf } from '../../runtime/process/errors.js';
import { IdTable } from './id-table.js';
import { IDS_FILE, WORDS_FILE } from './layout.js';
import { WordIndex } from './words/word-index.js';

/** A product and its similarity: the cosine of the two vectors, −1 to 1. */
interface Neighbour {
  readonly product_id: string;
  readonly score: number;
}

/** A product that has words of a query. */
interface FoundByWords extends Neighbour {
  /** What was asked is exactly its title. */
  readonly isTitle: boolean;
}

export interface FoundWords {
  /** Scores are 0 to 1. */
  readonly items: readonly FoundByWords[];
  /** Words of the query that no product has, nor anything like them. */
  readonly unknown: readonly string[];
}

export interface FaissVersion {
  /** Only vectors of this model may be used as queries. */
  readonly model: string;
  readonly dimension: number;
  readonly count: number;
  /** The index, to inspect its process. */
  readonly index: OpenIndex;
  /**
   * The nearest products, at most `limit` (≥ 1), nearest first. The vector may have any length except 0. Errors:
   * 'invalid_data' for a wrong dimension or numbers that are not finite; those of VectorIndex.search.
   */
  search(vector: Float32Array, limit: number): Promise<Neighbour[]>;
  /**
   * Products that have the words of the query, best first; null if the version was made without words. `asked`: the query
   * before words that say little were dropped from it; it is compared with titles.
   */
  find(query: string, limit: number, asked?: string): FoundWords | null;
  /** The nearest other products; null if the version does not contain this one. */
  similar(productId: string, limit: number): Promise<Neighbour[] | null>;
  close(): Promise<void>;
}

type OpenVersionOptions = Omit<OpenIndexOptions, 'path' | 'verify'>;

const manifestSchema = z.object({
  artefact: z.literal('faiss'),
  settings: z.object({ model: z.string().min(1), dimension: z.number().int() }),
  counts: z.object({ products: z.number().int().min(1) }),
  files: z.array(z.object({ name: z.string(), bytes: z.number(), sha256: z.string() })),
});

/**
 * Errors: 'invalid_data' if a file is missing or does not match the manifest; 'settings' if this machine cannot search
 * this kind of index; 'unavailable' if the index process ended while loading.
 */
export async function openFaissVersion(folder: string, options: OpenVersionOptions): Promise<FaissVersion> {
  const manifest = await readManifest(folder);
  const { model, dimension } = manifest.settings;
  const count = manifest.counts.products;
  const [file, idsFile] = [INDEX_FILE, IDS_FILE].map((name) => fileToVerify(folder, manifest.files, name));
  const { path } = file!;
  const index = await openIndex({ ...options, path, verify: [file!, idsFile!] });
  try {
    if (index.dimension !== dimension || index.count !== count)
      throw damaged(
        folder,
        `its index is ${index.count} × ${index.dimension}, its manifest says ${count} × ${dimension}`,
      );
    const words = await readWords(folder, manifest.files, count);
    const ids = await IdTable.read(idsFile!.path, count);
    const offsetOf = await vectorOffsets(path, await readIndexFile(path));
    const handle = await open(path, 'r');
    return new OpenVersion({ model, dimension, count, ids, words, index, handle, offsetOf });
  } catch (error) {
    await index.close();
    throw error;
  }
}

interface Parts {
  readonly model: string;
  readonly dimension: number;
  readonly count: number;
  readonly ids: IdTable;
  readonly words: WordIndex | null;
  readonly index: OpenIndex;
  readonly handle: FileHandle;
  readonly offsetOf: (position: number) => number;
}

class OpenVersion implements FaissVersion {
  readonly model: string;
  readonly dimension: number;
  readonly count: number;
  readonly index: OpenIndex;
  readonly #parts: Parts;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.model = parts.model;
    this.dimension = parts.dimension;
    this.count = parts.count;
    this.index = parts.index;
  }

  async search(vector: Float32Array, limit: number): Promise<Neighbour[]> {
    const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
    if (length === 0) throw new FreshetError('invalid_data', 'A vector of only zeros is not near anything.');
    return this.#nearest(
      vector.map((value) => value / length),
      limit,
      -1,
    );
  }

  find(query: string, limit: number, asked = query): FoundWords | null {
    const { words, ids } = this.#parts;
    if (words === null) return null;
    const { hits, unknown } = words.search(query, limit, asked);
    const items = hits.map(({ position, score, isTitle }) => ({ product_id: ids.idAt(position), score, isTitle }));
    return { items, unknown };
  }

  async similar(productId: string, limit: number): Promise<Neighbour[] | null> {
    const position = this.#parts.ids.positionOf(productId);
    if (position < 0) return null;
    const vector = new Float32Array(this.dimension);
    const bytes = vector.byteLength;
    const at = this.#parts.offsetOf(position);
    const { bytesRead } = await this.#parts.handle.read(new Uint8Array(vector.buffer), 0, bytes, at);
    if (bytesRead !== bytes) throw new FreshetError('internal', `The index ends before position ${position}.`);
    return this.#nearest(vector, limit, position);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.index.close();
    await this.#parts.handle.close();
  }

  /** One more than requested, because one of them may be the product itself. */
  async #nearest(vector: Float32Array, limit: number, own: number): Promise<Neighbour[]> {
    if (!Number.isInteger(limit) || limit < 1)
      throw new FreshetError('invalid_data', `A limit of ${limit} is not valid.`);
    const k = Math.min(limit + (own < 0 ? 0 : 1), this.count, NEIGHBOURS_MAX);
    const { positions, scores } = await this.index.search(vector, 1, k);
    const neighbours: Neighbour[] = [];
    for (let i = 0; i < k && neighbours.length < limit; i++) {
      const position = positions[i]!;
      if (position < 0 || position === own) continue;
      neighbours.push({ product_id: this.#parts.ids.idAt(position), score: scores[i]! });
    }
    return neighbours;
  }
}

/** Null for a version without words. Errors: 'invalid_data' if the file does not match the manifest. */
async function readWords(
  folder: string,
  files: readonly { readonly name: string; readonly sha256: string }[],
  count: number,
): Promise<WordIndex | null> {
  const file = files.find(({ name }) => name === WORDS_FILE);
  if (file === undefined) return null;
  let bytes: Buffer;
  try {
    bytes = await readFile(join(folder, WORDS_FILE));
  } catch (error) {
    throw damaged(folder, `${WORDS_FILE} cannot be read: ${messageOf(error)}`);
  }
  if (createHash('sha256').update(bytes).digest('hex') !== file.sha256)
    throw damaged(folder, `${WORDS_FILE} is not the file that its manifest names`);
  return new WordIndex(bytes, count);
}

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema>> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, MANIFEST_FILE), 'utf8')));
  } catch (error) {
    throw new FreshetError('invalid_data', `${folder} contains no readable version of the index.`, {
      cause: error,
    });
  }
}

function damaged(folder: string, what: string): FreshetError {
  return new FreshetError('invalid_data', `The version in ${folder} is damaged: ${what}.`);
}
