/** The texts of products in `products`, as far as search reads them. */
import type { RecordColumns } from '../../runtime/log/log.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Codec } from '../../schemas/codec.js';
import type { Product } from '../../schemas/records.js';
import type { Capture } from '../snapshotter.js';

/** Characters kept of a description: its beginning says what a product is. */
const DESCRIPTION_MAX = 1_000;
const TITLE_MAX = 500;

type CapturedText = Pick<Product, 'title' | 'category' | 'description'>;

interface TextsOptions {
  readonly memoryBytes: number;
}

/** Bytes of a product's entry besides its characters. */
const ENTRY_BYTES = 200;

export class TextsCapture implements Capture {
  readonly #codec: Codec;
  readonly #o: TextsOptions;
  readonly #texts = new Map<string, CapturedText>();
  #bytes = 0;

  constructor(codec: Codec, options: TextsOptions) {
    this.#codec = codec;
    this.#o = options;
  }

  get(id: string): CapturedText | null {
    return this.#texts.get(id) ?? null;
  }

  /** A record that cannot be read leaves the product as it was: other readers make a dead letter of it. */
  add({ bytes, keyStart, keyEnd, valueStart, valueEnd }: RecordColumns, row: number): void {
    if (keyStart[row]! < 0) return;
    const id = bytes.toString('utf8', keyStart[row]!, keyEnd[row]!);
    if (valueStart[row]! < 0) {
      this.#forget(id);
      return;
    }
    let product: Product;
    try {
      product = this.#codec.decode('Product', bytes, valueStart[row]!, valueEnd[row]!) as Product;
    } catch {
      return;
    }
    if (product.product_id !== id) return;
    const { title, category, description } = product;
    this.#put(id, {
      title: title.slice(0, TITLE_MAX),
      category: category.slice(0, TITLE_MAX),
      description: description.slice(0, DESCRIPTION_MAX),
    });
  }

  /** A line per product: all of them could be more than a string can hold. */
  save(): Buffer {
    return Buffer.concat([...this.#texts].map((entry) => Buffer.from(`${JSON.stringify(entry)}\n`)));
  }

  /** Errors: those of JSON.parse. */
  restore(bytes: Buffer): void {
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf('\n', start);
      const [id, text] = JSON.parse(bytes.toString('utf8', start, end)) as [string, CapturedText];
      this.#put(id, text);
      start = end + 1;
    }
  }

  #put(id: string, text: CapturedText): void {
    this.#forget(id);
    this.#texts.set(id, text);
    this.#bytes += sizeOf(id, text);
    if (this.#bytes > this.#o.memoryBytes)
      throw new FreshetError(
        'settings',
        `The texts of ${this.#texts.size} products need more memory than SNAPSHOT_MEMORY_MB leaves for them: raise it.`,
      );
  }

  #forget(id: string): void {
    const known = this.#texts.get(id);
    if (known === undefined) return;
    this.#bytes -= sizeOf(id, known);
    this.#texts.delete(id);
  }
}

function sizeOf(id: string, { title, category, description }: CapturedText): number {
  return ENTRY_BYTES + 2 * (id.length + title.length + category.length + description.length);
}
