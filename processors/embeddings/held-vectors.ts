/**
 * Which vectors the topic `embeddings` contains: product → what was embedded. The topic is its own state: it is
 * compacted and every record has its content hash, so nothing else can disagree with it.
 */
import type { RecordColumns } from '../../runtime/log/log.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Embedding } from '../../schemas/records.js';

/** The stored part of a hash: 128 bits, as 16 one-byte characters. */
const KEPT_HEX = 32;

export class HeldVectors {
  readonly #contents = new Map<string, string>();

  get size(): number {
    return this.#contents.size;
  }

  keys(): Iterable<string> {
    return this.#contents.keys();
  }

  has(product: string): boolean {
    return this.#contents.has(product);
  }

  /** Whether the product's vector was made from this text. */
  isOf(product: string, hash: string): boolean {
    return this.#contents.get(product) === kept(hash);
  }

  set(product: string, hash: string): void {
    this.#contents.set(product, kept(hash));
  }

  delete(product: string): void {
    this.#contents.delete(product);
  }

  /** Takes row i of `embeddings`. An unreadable one counts as made from another text, so it is replaced. */
  take(codec: Codec, batch: RecordColumns, i: number): void {
    const product = batch.bytes.toString('utf8', batch.keyStart[i]!, batch.keyEnd[i]!);
    const start = batch.valueStart[i]!;
    if (start < 0) {
      this.#contents.delete(product);
      return;
    }
    try {
      const embedding = codec.decode('Embedding', batch.bytes, start, batch.valueEnd[i]!) as Embedding;
      this.set(product, embedding.content_hash);
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      this.#contents.set(product, '');
    }
  }
}

function kept(hash: string): string {
  return Buffer.from(hash.slice(0, KEPT_HEX), 'hex').toString('latin1');
}
