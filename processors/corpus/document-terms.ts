/** The distinct terms of one document at a time, as ascending numbers. */
import { capacityFor, enlarged } from '../../runtime/tasks/state/columns.js';
import type { Vocabulary } from './vocabulary.js';
import { type WordSink, Words } from './words.js';

/** Limit for all terms of a document together, so that its changelog row fits in one record. */
export const DOCUMENT_BYTES_MAX = 256 * 1024;

export class DocumentTerms implements WordSink {
  readonly #vocabulary: Vocabulary;
  readonly #words = new Words();
  /** Per term: the last document that contained it. */
  #seenIn = new Int32Array(4096);
  #document = 0;
  #bytes = 0;
  /** The first `count` belong to the document. */
  terms = new Int32Array(256);
  count = 0;
  /** Whether the document has more terms than allowed. */
  isCut = false;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Reads the terms of bytes[start..end), valid UTF-8. */
  read(bytes: Buffer, start: number, end: number): void {
    this.#begin();
    this.#words.scan(bytes, start, end, this);
    this.terms.subarray(0, this.count).sort();
  }

  word(bytes: Buffer, length: number, hash: number): void {
    if (!this.isCut) this.#add(this.#vocabulary.intern(bytes, 0, length, hash), length);
  }

  #begin(): void {
    if (this.#document === 2 ** 31 - 1) {
      this.#seenIn.fill(0);
      this.#document = 0;
    }
    this.#document++;
    this.#bytes = 0;
    this.count = 0;
    this.isCut = false;
  }

  #add(term: number, length: number): void {
    if (term >= this.#seenIn.length) this.#seenIn = enlarged(this.#seenIn, capacityFor(term + 1, this.#seenIn.length));
    if (this.#seenIn[term] === this.#document) return;
    if (this.#bytes + length > DOCUMENT_BYTES_MAX) {
      this.isCut = true;
      return;
    }
    this.#seenIn[term] = this.#document;
    this.#bytes += length;
    if (this.count === this.terms.length) this.terms = enlarged(this.terms, this.count * 2);
    this.terms[this.count++] = term;
  }
}
