/**
 * What the events of one commit add to products, per (product, day): the content of the re-key hop. Kept until the
 * commit is in the log, so that an uncommitted write can be repeated.
 */
import type { Output } from '../../../runtime/tasks/processor.js';
import { capacityFor, DueSet, enlarged } from '../../../runtime/tasks/state/columns.js';
import type { Interner } from '../../../runtime/tasks/state/interner.js';
import { AvroWriter } from '../../../schemas/avro-writer.js';
import { ADD_TO_CART, VIEW } from '../../intake/event-view.js';

const NONE = -1;

export class ProductDeltas {
  readonly #names: Interner;
  readonly #writer = new AvroWriter();
  readonly #products = new DueSet();
  #head = new Int32Array(1024).fill(NONE);
  #next = new Int32Array(256);
  #day = new Int32Array(256);
  #sum = new Float64Array(256);
  /** Three per delta: views, add_to_carts, purchases. */
  #counts = new Uint32Array(768);
  #used = 0;

  constructor(names: Interner) {
    this.#names = names;
  }

  get size(): number {
    return this.#products.size;
  }

  add(product: number, day: number, contribution: number, type: number): void {
    if (product >= this.#head.length) {
      const from = this.#head.length;
      this.#head = enlarged(this.#head, capacityFor(product + 1, from));
      this.#head.fill(NONE, from);
    }
    if (this.#products.add(product)) this.#head[product] = NONE;
    let delta = this.#head[product]!;
    while (delta !== NONE && this.#day[delta] !== day) delta = this.#next[delta]!;
    if (delta === NONE) {
      delta = this.#allocate();
      this.#day[delta] = day;
      this.#sum[delta] = 0;
      this.#counts.fill(0, delta * 3, delta * 3 + 3);
      this.#next[delta] = this.#head[product]!;
      this.#head[product] = delta;
    }
    this.#sum[delta] = this.#sum[delta]! + contribution;
    const at = delta * 3 + (type === VIEW ? 0 : type === ADD_TO_CART ? 1 : 2);
    this.#counts[at] = this.#counts[at]! + 1;
  }

  /** `clockMs`: the task's partition clock; `sinceMs`: log time of the oldest event in the commit. */
  emit(topic: string, prefix: Uint8Array, clockMs: number, sinceMs: number, out: Output): void {
    for (let i = 0; i < this.#products.size; i++) {
      const product = this.#products.at(i);
      let days = 0;
      for (let delta = this.#head[product]!; delta !== NONE; delta = this.#next[delta]!) days++;
      const writer = this.#writer.begin(prefix).long(clockMs).long(sinceMs).long(days);
      for (let delta = this.#head[product]!; delta !== NONE; delta = this.#next[delta]!) {
        writer.long(this.#day[delta]!).double(this.#sum[delta]!);
        for (let k = 0; k < 3; k++) writer.long(this.#counts[delta * 3 + k]!);
      }
      out.add(topic, this.#names.bytesOf(product), writer.long(0).finish());
    }
  }

  committed(): void {
    this.#products.clear();
    this.#used = 0;
  }

  #allocate(): number {
    if (this.#used === this.#day.length) {
      const capacity = capacityFor(this.#used + 1, this.#used);
      this.#next = enlarged(this.#next, capacity);
      this.#day = enlarged(this.#day, capacity);
      this.#sum = enlarged(this.#sum, capacity);
      this.#counts = enlarged(this.#counts, capacity * 3);
    }
    return this.#used++;
  }
}
