/** How every document is counted: its kind and terms. Reports the effect of a document's change, to the last term. */
import { capacityFor, DueSet, enlarged } from '../../runtime/tasks/state/columns.js';
import { Interner } from '../../runtime/tasks/state/interner.js';
import type { TermChanges } from './term-changes.js';
import { TermLists } from './term-lists.js';

const NONE = -1;

export class DocumentStates {
  readonly #changes: TermChanges;
  readonly ids = new Interner();
  readonly #lists = new TermLists();
  #kind = new Int32Array(1024).fill(NONE);
  #former = new Int32Array(256);
  /** Documents whose state differs from the last commit. */
  readonly changed = new DueSet();
  /** Number of counted documents. */
  size = 0;

  constructor(changes: TermChanges) {
    this.#changes = changes;
  }

  /** Memory of ids and lists, for estimates. */
  get bytesHeld(): number {
    return this.ids.bytesHeld + this.#lists.bytesHeld + this.#kind.byteLength;
  }

  get listBytes(): number {
    return this.#lists.bytesLive;
  }

  /** The document's number; assigned if it is new. */
  obtain(bytes: Uint8Array, start: number, end: number): number {
    const document = this.ids.intern(bytes, start, end);
    const before = this.#kind.length;
    if (document >= before) this.#kind = enlarged(this.#kind, capacityFor(document + 1, before)).fill(NONE, before);
    return document;
  }

  /** -1: the document is not counted. */
  kindOf(document: number): number {
    return document < this.#kind.length ? this.#kind[document]! : NONE;
  }

  /** Sets the document's kind and terms[0..count), which ascend. Returns whether that changes anything. */
  set(document: number, kind: number, terms: Int32Array, count: number): boolean {
    const former = this.#kind[document]!;
    const formerCount = former === NONE ? 0 : this.#readFormer(document);
    if (former === kind) {
      if (!this.#exchange(kind, formerCount, terms, count)) return false;
    } else {
      if (former === NONE) this.size++;
      else this.#takeOut(former, formerCount);
      this.#changes.addDocuments(kind, 1);
      for (let i = 0; i < count; i++) this.#changes.add(kind, terms[i]!, 1);
    }
    this.restore(document, kind, terms, count);
    this.changed.add(document);
    return true;
  }

  /** Removes the document. Returns whether it was counted. */
  remove(document: number): boolean {
    const former = this.kindOf(document);
    if (former === NONE) return false;
    this.#takeOut(former, this.#readFormer(document));
    this.forget(document);
    this.size--;
    this.changed.add(document);
    return true;
  }

  /** As set(), without reporting: it is counted already. */
  restore(document: number, kind: number, terms: Int32Array, count: number): void {
    this.#kind[document] = kind;
    this.#lists.put(document, terms, count);
  }

  /** As remove(), without reporting. */
  forget(document: number): void {
    this.#kind[document] = NONE;
    this.#lists.drop(document);
  }

  /** The document's terms, ascending: a view, valid until the next call of any method here. */
  termsOf(document: number): Int32Array {
    // Must come first: it may replace the array with a larger one.
    const count = this.#readFormer(document);
    return this.#former.subarray(0, count);
  }

  #takeOut(kind: number, count: number): void {
    this.#changes.addDocuments(kind, -1);
    for (let i = 0; i < count; i++) this.#changes.add(kind, this.#former[i]!, -1);
  }

  /** Compares two ascending lists and reports terms that were removed and added. Returns whether there were any. */
  #exchange(kind: number, formerCount: number, terms: Int32Array, count: number): boolean {
    const former = this.#former;
    let differs = false;
    for (let i = 0, k = 0; i < formerCount || k < count; ) {
      const old = i < formerCount ? former[i]! : Number.MAX_SAFE_INTEGER;
      const fresh = k < count ? terms[k]! : Number.MAX_SAFE_INTEGER;
      if (old === fresh) {
        i++;
        k++;
        continue;
      }
      differs = true;
      if (old < fresh) {
        this.#changes.add(kind, old, -1);
        i++;
      } else {
        this.#changes.add(kind, fresh, 1);
        k++;
      }
    }
    return differs;
  }

  #readFormer(document: number): number {
    const count = this.#lists.countOf(document);
    if (count > this.#former.length) this.#former = new Int32Array(capacityFor(count, this.#former.length));
    return this.#lists.read(document, this.#former);
  }
}
