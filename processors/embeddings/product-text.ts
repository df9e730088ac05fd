/**
 * The part of a product that is embedded: title and description. The category is left out: it is for display and often
 * an id, and renaming one would embed all of its products again. So is the price.
 */
import { createHash } from 'node:crypto';
import type { RecordColumns } from '../../runtime/log/log.js';
import { type RecordProblem, wrongKey } from '../../runtime/log/record-problem.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Product } from '../../schemas/records.js';

/** The text; null if the product has none. */
export function productText({ title, description }: Pick<Product, 'title' | 'description'>): string | null {
  const parts = [title.trim(), description.trim()].filter((part) => part !== '');
  return parts.length === 0 ? null : parts.join('\n');
}

/** SHA-256 (hex) of model and text: equal ones need not be embedded again. */
export function contentHash(model: string, text: string): string {
  return createHash('sha256').update(`${model}\n${text}`).digest('hex');
}

export type ProductReading =
  /** text null: deleted, or without text. */
  | { readonly key: string; readonly text: string | null; readonly problem: null }
  /** The product cannot be read: it has no text until it can be read. */
  | { readonly key: string; readonly text: null; readonly problem: RecordProblem }
  /** The record belongs to no product of this partition. */
  | { readonly key: null; readonly text: null; readonly problem: RecordProblem };

/** Reads row i of `products`. Throws nothing: problems are part of the answer. `partitions`: of the topic. */
export function readProduct(codec: Codec, partitions: number, batch: RecordColumns, i: number): ProductReading {
  const misplaced = wrongKey('product_id', batch, i, partitions);
  if (misplaced !== null) return { key: null, text: null, problem: misplaced };
  const key = batch.bytes.toString('utf8', batch.keyStart[i]!, batch.keyEnd[i]!);
  const start = batch.valueStart[i]!;
  if (start < 0) return { key, text: null, problem: null };
  try {
    const product = codec.decode('Product', batch.bytes, start, batch.valueEnd[i]!) as Product;
    if (product.product_id === key) return { key, text: productText(product), problem: null };
    return { key, text: null, problem: { code: 'key_mismatch', message: 'the key is not the product_id' } };
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    return { key, text: null, problem: { code: error.problem, message: error.message } };
  }
}
