/** Products that go to the model next: the newest text of each, if its vector was made from another text. */
import type { HeldVectors } from './held-vectors.js';
import { contentHash } from './product-text.js';

/** Outcome of a product record; `overwritten`: a newer record of the product arrived before it was embedded. */
export type Outcome = 'embedded' | 'unchanged' | 'removed' | 'overwritten' | 'rejected';

export interface ToEmbed {
  readonly product: string;
  readonly text: string;
  readonly hash: string;
}

export class Chunk {
  readonly #held: HeldVectors;
  readonly #model: string;
  readonly #count: (outcome: Outcome) => void;
  /** Null: its vector is to be removed. */
  readonly #works = new Map<string, ToEmbed | null>();

  constructor(held: HeldVectors, model: string, count: (outcome: Outcome) => void) {
    this.#held = held;
    this.#model = model;
    this.#count = count;
  }

  get size(): number {
    return this.#works.size;
  }

  /** The product as it is now; text null: it is deleted or has no text. */
  put(product: string, text: string | null): void {
    if (this.#works.delete(product)) this.#count('overwritten');
    if (text === null) {
      if (this.#held.has(product)) this.#works.set(product, null);
      else this.#count('unchanged');
      return;
    }
    const hash = contentHash(this.#model, text);
    if (this.#held.isOf(product, hash)) this.#count('unchanged');
    else this.#works.set(product, { product, text, hash });
  }

  /** The texts to embed and the vectors to remove; the chunk is empty afterwards. */
  take(): { texts: ToEmbed[]; gone: string[] } {
    const texts = [...this.#works.values()].filter((work) => work !== null);
    const gone = [...this.#works].filter(([, work]) => work === null).map(([product]) => product);
    this.#works.clear();
    return { texts, gone };
  }
}
