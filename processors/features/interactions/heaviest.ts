/** Interactions: a user's decayed weight per product, not normalised, with the raw counts; the 1,000 heaviest. */
import type { Interner } from '../../../runtime/tasks/state/interner.js';
import { AvroWriter } from '../../../schemas/avro-writer.js';
import { INTERACTIONS_MAX } from '../../../topics/limits.js';

interface Item {
  readonly product: number;
  weight: number;
  count: number;
  lastTs: number;
  purchases: number;
}

/** Adds up weights per product, one user at a time. Products are ids of `names`. */
export class HeaviestItems {
  readonly #names: Interner;
  readonly #writer = new AvroWriter();
  readonly #items = new Map<number, Item>();

  constructor(names: Interner) {
    this.#names = names;
  }

  clear(): void {
    this.#items.clear();
  }

  /** `purchases`: how many of `count` events were purchases. */
  add(product: number, weight: number, count: number, lastTs: number, purchases: number): void {
    const item = this.#items.get(product);
    if (item === undefined) {
      this.#items.set(product, { product, weight, count, lastTs, purchases });
      return;
    }
    item.weight += weight;
    item.count += count;
    item.purchases += purchases;
    if (lastTs > item.lastTs) item.lastTs = lastTs;
  }

  get isEmpty(): boolean {
    return this.#items.size === 0;
  }

  /** The Interactions record of a user, heaviest first; weights are multiplied by `factor`. A view until the next call. */
  encode(prefix: Uint8Array, user: Uint8Array, start: number, end: number, asOfMs: number, factor: number): Buffer {
    const items = [...this.#items.values()].sort(
      (a, b) => b.weight - a.weight || this.#compareNames(a.product, b.product),
    );
    const kept = items.length > INTERACTIONS_MAX ? items.slice(0, INTERACTIONS_MAX) : items;
    const writer = this.#writer.begin(prefix).bytes(user, start, end).long(asOfMs).long(kept.length);
    for (const { product, weight, count, lastTs, purchases } of kept) {
      writer.bytes(this.#names.arena, this.#names.startOf(product), this.#names.endOf(product));
      writer
        .double(weight * factor)
        .long(count)
        .long(lastTs)
        .long(purchases);
    }
    if (kept.length > 0) writer.long(0);
    return writer.long(items.length - kept.length).finish();
  }

  #compareNames(a: number, b: number): number {
    return Buffer.compare(this.#names.bytesOf(a), this.#names.bytesOf(b));
  }
}
