/**
 * A published version of the index, for serving: its folder checked against its manifest, its products by id, its vectors
 * in a process of their own. The next version is opened beside it and takes over between two requests.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { MANIFEST_FILE } from '../../publishing/versions/manifest.js';
import { FreshetError } from '../../runtime/errors.js';
import { readIndexFile, vectorOffsets } from '../../runtime/faiss/index-file.js';
import { type OpenIndex, type OpenIndexOptions, openIndex } from '../../runtime/faiss/open-index.js';
import { NEIGHBOURS_MAX } from '../../runtime/faiss/vector-index.js';
import { IdTable } from './id-table.js';
import { IDS_FILE, INDEX_FILE } from './layout.js';

/** A product and how near it is: the cosine of the two vectors, −1 to 1. */
export interface Neighbour {
  readonly product_id: string;
  readonly score: number;
}

export interface FaissVersion {
  /** Only vectors of this model may be asked with. */
  readonly model: string;
  readonly dimension: number;
  readonly count: number;
  /** The index, to look at its process. */
  readonly index: OpenIndex;
  /**
   * The nearest products, at most `limit` (≥ 1), nearest first. A vector of any length but 0 will do. Errors:
   * 'invalid_data' for a wrong dimension or numbers that are not finite; those of VectorIndex.search.
   */
  search(vector: Float32Array, limit: number): Promise<Neighbour[]>;
  /** The nearest other products; null: the version does not hold this one. */
  similar(productId: string, limit: number): Promise<Neighbour[] | null>;
  close(): Promise<void>;
}

export type OpenVersionOptions = Omit<OpenIndexOptions, 'path'>;

const manifestSchema = z.object({
  artefact: z.literal('faiss'),
  settings: z.object({ model: z.string().min(1), dimension: z.number().int() }),
  counts: z.object({ products: z.number().int().min(1) }),
  files: z.array(z.object({ name: z.string(), bytes: z.number(), sha256: z.string() })),
});

/**
 * Errors: 'invalid_data' when a file is missing, or is not what the manifest says; 'settings' when this machine cannot
 * search its kind; 'unavailable' when the index process ended while loading.
 */
export async function openFaissVersion(folder: string, options: OpenVersionOptions): Promise<FaissVersion> {
  const manifest = await readManifest(folder);
  const path = join(folder, INDEX_FILE);
  for (const name of [INDEX_FILE, IDS_FILE]) await checkFile(folder, name, manifest.files);
  const { model, dimension } = manifest.settings;
  const count = manifest.counts.products;
  const file = await readIndexFile(path);
  if (file.dimension !== dimension || file.count !== count)
    throw damaged(folder, `its index is ${file.count} × ${file.dimension}, its manifest says ${count} × ${dimension}`);
  const ids = await IdTable.read(join(folder, IDS_FILE), count);
  const offsetOf = await vectorOffsets(path, file);
  const handle = await open(path, 'r');
  try {
    const index = await openIndex({ ...options, path });
    return new OpenVersion({ model, dimension, count, ids, index, handle, offsetOf });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

interface Parts {
  readonly model: string;
  readonly dimension: number;
  readonly count: number;
  readonly ids: IdTable;
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
    if (length === 0) throw new FreshetError('invalid_data', 'A vector of nothing but zeros is near to nothing.');
    return this.#nearest(
      vector.map((value) => value / length),
      limit,
      -1,
    );
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

  /** One more than asked for, because one of them may be the product itself. */
  async #nearest(vector: Float32Array, limit: number, own: number): Promise<Neighbour[]> {
    if (!Number.isInteger(limit) || limit < 1) throw new FreshetError('invalid_data', `A limit of ${limit} is none.`);
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

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema>> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, MANIFEST_FILE), 'utf8')));
  } catch (error) {
    throw new FreshetError('invalid_data', `${folder} holds no version of the index that can be read.`, {
      cause: error,
    });
  }
}

async function checkFile(
  folder: string,
  name: string,
  files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[],
): Promise<void> {
  const said = files.find((file) => file.name === name);
  if (said === undefined) throw damaged(folder, `its manifest does not name ${name}`);
  const sha = createHash('sha256');
  let bytes = 0;
  try {
    await pipeline(
      createReadStream(join(folder, name), { highWaterMark: 1 << 20 }),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          sha.update(chunk);
          bytes += chunk.length;
        }
      },
    );
  } catch (error) {
    throw new FreshetError('invalid_data', `${join(folder, name)} cannot be read.`, { cause: error });
  }
  if (bytes !== said.bytes || sha.digest('hex') !== said.sha256)
    throw damaged(folder, `${name} is not what its manifest says`);
}

function damaged(folder: string, what: string): FreshetError {
  return new FreshetError('invalid_data', `The version in ${folder} is damaged: ${what}.`);
}
