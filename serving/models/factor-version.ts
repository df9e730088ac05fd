/**
 * A published recommendation model, for serving: its products in the two indexes of its folder (named in
 * snapshotters/als/layout.ts), each in its own process, which verifies the files before it loads them. The users'
 * factors stay in the stores.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ITEM_FACTORS_FILE, type OpenFactors, openFactors } from '../../publishing/versions/artefacts/factor-file.js';
import { MANIFEST_FILE } from '../../publishing/versions/manifest.js';
import type { FileToVerify } from '../../runtime/models/faiss/messages.js';
import { type OpenIndex, type OpenIndexOptions, openIndex } from '../../runtime/models/faiss/open-index.js';
import { NEIGHBOURS_MAX } from '../../runtime/models/faiss/vector-index.js';
import { fileToVerify } from '../../runtime/models/faiss/verify-file.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { directionOf, lengthOf, NEIGHBOURS_INDEX, PRODUCTS_INDEX, userVector } from '../../snapshotters/als/layout.js';
import { IdTable } from '../../snapshotters/faiss/id-table.js';
import type { Scored } from './blend.js';

export interface FactorVersion {
  readonly count: number;
  /** The processes of the indexes, for inspection. */
  readonly indexes: readonly OpenIndex[];
  /**
   * The products with the largest inner product with a user's factors, without those of `leftOut`; at most `limit`,
   * best first. Throws 'invalid_data' for a wrong number of factors, and as VectorIndex.search does.
   */
  recommend(factors: Float32Array, limit: number, leftOut: ReadonlySet<string>): Promise<Scored[]>;
  /** The products with the largest cosine with this one, without itself; null: the model does not know it. */
  similar(productId: string, limit: number): Promise<Scored[] | null>;
  close(): Promise<void>;
}

type OpenFactorsOptions = Omit<OpenIndexOptions, 'path' | 'verify'>;

const manifestSchema = z.object({
  artefact: z.literal('als'),
  figures: z.object({ indexes: z.object({ length_max: z.number().positive() }) }),
  files: z.array(z.object({ name: z.string(), bytes: z.number(), sha256: z.string() })),
});

/**
 * Throws 'invalid_data' when a file is missing or does not match the manifest; 'unavailable' when a process ended while
 * loading.
 */
export async function openFactorVersion(folder: string, options: OpenFactorsOptions): Promise<FactorVersion> {
  const manifest = await readManifest(folder);
  const markOf = (name: string) => fileToVerify(folder, manifest.files, name);
  const items = markOf(ITEM_FACTORS_FILE);
  const opened: { close(): Promise<void> }[] = [];
  try {
    const factors = await openItems(items.path);
    opened.push(factors);
    const ids = await IdTable.of(factors.ids, factors.ends, items.path);
    const openOne = async (name: string, dimension: number, others: readonly FileToVerify[]) => {
      const mark = markOf(name);
      const index = await openIndex({ ...options, path: mark.path, verify: [mark, ...others] });
      opened.push(index);
      if (index.count === factors.rows && index.dimension === dimension) return index;
      throw new FreshetError('invalid_data', `${mark.path} and ${items.path} belong to different models.`);
    };
    // One after the other, so that little is loaded at a time while another version is serving.
    const products = await openOne(PRODUCTS_INDEX, factors.factors + 1, [items]);
    const neighbours = await openOne(NEIGHBOURS_INDEX, factors.factors, []);
    return new OpenVersion({ lengthMax: manifest.figures.indexes.length_max, ids, factors, products, neighbours });
  } catch (error) {
    for (const one of opened) await one.close();
    throw error;
  }
}

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema>> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, MANIFEST_FILE), 'utf8')));
  } catch (cause) {
    const hint =
      'Versions made before they included indexes cannot be served: run "freshet snapshot als" to make a new one.';
    throw new FreshetError('invalid_data', `${folder} contains no model with readable indexes. ${hint}`, {
      cause,
    });
  }
}

async function openItems(path: string): Promise<OpenFactors> {
  try {
    return await openFactors(path);
  } catch (cause) {
    if (cause instanceof FreshetError) throw cause;
    throw new FreshetError('invalid_data', `${path} cannot be read.`, { cause });
  }
}

interface Parts {
  readonly lengthMax: number;
  readonly ids: IdTable;
  /** The source of a product's own factors. */
  readonly factors: OpenFactors;
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
    this.count = parts.ids.count;
    this.indexes = [parts.products, parts.neighbours];
  }

  async recommend(user: Float32Array, limit: number, leftOut: ReadonlySet<string>): Promise<Scored[]> {
    const { products, lengthMax, factors } = this.#parts;
    if (user.length !== factors.factors)
      throw new FreshetError(
        'invalid_data',
        `A user has ${user.length} factors, the products have ${factors.factors}.`,
      );
    const length = lengthOf(user);
    if (length === 0) return [];
    const wanted = limit + leftOut.size;
    return this.#nearest(products, userVector(user), wanted, limit, (id) => leftOut.has(id), length * lengthMax);
  }

  async similar(productId: string, limit: number): Promise<Scored[] | null> {
    const { ids, factors, neighbours } = this.#parts;
    const position = ids.positionOf(productId);
    if (position < 0) return null;
    const own = await factors.row(position);
    // It has no interactions, so it is near to nothing.
    if (lengthOf(own) === 0) return null;
    return this.#nearest(neighbours, directionOf(own), limit + 1, limit, (id) => id === productId, 1);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { products, neighbours, factors } = this.#parts;
    await Promise.all([products.close(), neighbours.close(), factors.close()]);
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
