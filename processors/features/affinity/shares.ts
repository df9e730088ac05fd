/** Affinity: a user's decayed weight per category as a share of the total; shares add up to 1 (formula: days.ts). */
import { capacityFor, enlarged } from '../../../runtime/tasks/state/columns.js';
import type { Interner } from '../../../runtime/tasks/state/interner.js';
import { AvroWriter } from '../../../schemas/avro-writer.js';
import { CATEGORIES_MAX } from '../../../topics/limits.js';

const OTHER = Buffer.from('other');

/** Adds up weights per category, one user at a time. Categories are ids of `names`. */
export class AffinityShares {
  readonly #names: Interner;
  readonly #writer = new AvroWriter();
  #weights = new Float64Array(64);
  #isTouched = new Uint8Array(64);
  #touched: number[] = [];

  constructor(names: Interner) {
    this.#names = names;
  }

  clear(): void {
    for (const category of this.#touched) {
      this.#weights[category] = 0;
      this.#isTouched[category] = 0;
    }
    this.#touched = [];
  }

  /** `weight` ≥ 0; all weights are carried to the same moment. */
  add(category: number, weight: number): void {
    if (category >= this.#weights.length) {
      const capacity = capacityFor(category + 1, this.#weights.length);
      this.#weights = enlarged(this.#weights, capacity);
      this.#isTouched = enlarged(this.#isTouched, capacity);
    }
    if (this.#isTouched[category] === 0) {
      this.#isTouched[category] = 1;
      this.#touched.push(category);
    }
    this.#weights[category] = this.#weights[category]! + weight;
  }

  get isEmpty(): boolean {
    return this.#touched.length === 0;
  }

  /** The Affinity record of a user (bytes[start..end)), framed by `prefix`; a view until the next call. */
  encode(prefix: Uint8Array, user: Uint8Array, start: number, end: number, asOfMs: number): Buffer {
    const weights = this.#weights;
    let total = 0;
    for (const category of this.#touched) total += weights[category]!;
    let kept = this.#touched;
    let rest = 0;
    if (kept.length > CATEGORIES_MAX) {
      const heaviestFirst = [...kept].sort((a, b) => weights[b]! - weights[a]! || this.#compareNames(a, b));
      kept = heaviestFirst.slice(0, CATEGORIES_MAX);
      for (const category of heaviestFirst.slice(CATEGORIES_MAX)) rest += weights[category]!;
      const named = this.#names.find(OTHER);
      if (named >= 0 && kept.includes(named)) {
        rest += weights[named]!;
        kept = kept.filter((category) => category !== named);
      }
    }
    const writer = this.#writer.begin(prefix).bytes(user, start, end).long(asOfMs);
    writer.long(kept.length + (rest > 0 ? 1 : 0));
    for (const category of kept) {
      writer.bytes(this.#names.arena, this.#names.startOf(category), this.#names.endOf(category));
      writer.double(weights[category]! / total);
    }
    if (rest > 0) writer.bytes(OTHER).double(rest / total);
    return writer.long(0).finish();
  }

  #compareNames(a: number, b: number): number {
    return Buffer.compare(this.#names.bytesOf(a), this.#names.bytesOf(b));
  }
}
