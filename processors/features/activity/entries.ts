/**
 * The (user, day) state: for each row a list of [product, category?, sum, count, last ts, purchases] in order of first
 * arrival. One state serves affinity and interactions.
 */
import { capacityFor, enlarged } from '../../../runtime/tasks/state/columns.js';
import type { ColumnSink, ColumnSource } from '../../../runtime/tasks/state/saved-columns.js';

const NONE = -1;
/** Longer rows are searched through an index: a crawler's day must not become quadratic. */
const INDEXED_FROM = 32;

export class ActivityEntries {
  /** Per row of EntityDays. */
  #first = new Int32Array(0);
  #last = new Int32Array(0);
  #length = new Int32Array(0);
  /** Per entry. */
  #next = new Int32Array(1024);
  product = new Int32Array(1024);
  /** -1: the event had no category. */
  category = new Int32Array(1024);
  sum = new Float64Array(1024);
  count = new Uint32Array(1024);
  lastTs = new Float64Array(1024);
  /** How many of the counted events were purchases. */
  purchases = new Uint32Array(1024);
  #used = 0;
  #free = NONE;
  readonly #indexes = new Map<number, Map<number, number>>();

  /** Follows the capacity of the rows. */
  readonly onGrow = (capacity: number): void => {
    this.#first = enlarged(this.#first, capacity);
    this.#last = enlarged(this.#last, capacity);
    this.#length = enlarged(this.#length, capacity);
  };

  /** A row starts empty. */
  open(row: number): void {
    this.#first[row] = NONE;
    this.#last[row] = NONE;
    this.#length[row] = 0;
  }

  lengthOf(row: number): number {
    return this.#length[row]!;
  }

  /** First entry of a row, or -1; next() continues in order of first arrival. */
  first(row: number): number {
    return this.#first[row]!;
  }

  next(entry: number): number {
    return this.#next[entry]!;
  }

  /** The row's entry of this product and category, appended with zero sum and count if it does not exist. */
  obtain(row: number, product: number, category: number): number {
    const length = this.#length[row]!;
    let entry: number;
    if (length < INDEXED_FROM) {
      entry = this.#first[row]!;
      while (entry !== NONE && (this.product[entry] !== product || this.category[entry] !== category))
        entry = this.#next[entry]!;
    } else entry = this.#indexOf(row).get(indexKey(product, category)) ?? NONE;
    return entry !== NONE ? entry : this.append(row, product, category);
  }

  append(row: number, product: number, category: number): number {
    const entry = this.#allocate();
    this.product[entry] = product;
    this.category[entry] = category;
    this.sum[entry] = 0;
    this.count[entry] = 0;
    this.lastTs[entry] = 0;
    this.purchases[entry] = 0;
    this.#next[entry] = NONE;
    const last = this.#last[row]!;
    if (last === NONE) this.#first[row] = entry;
    else this.#next[last] = entry;
    this.#last[row] = entry;
    this.#length[row] = this.#length[row]! + 1;
    this.#indexes.get(row)?.set(indexKey(product, category), entry);
    return entry;
  }

  /** Keeps the first `length` entries of a row. */
  truncate(row: number, length: number): void {
    if (this.#length[row]! <= length) return;
    this.#indexes.delete(row);
    let kept = NONE;
    let entry = this.#first[row]!;
    for (let i = 0; i < length; i++) {
      kept = entry;
      entry = this.#next[entry]!;
    }
    if (kept === NONE) this.#first[row] = NONE;
    else this.#next[kept] = NONE;
    this.#last[row] = kept;
    this.#length[row] = length;
    while (entry !== NONE) {
      const following = this.#next[entry]!;
      this.#next[entry] = this.#free;
      this.#free = entry;
      entry = following;
    }
  }

  /** `rows`: how many row numbers EntityDays has assigned. */
  save(into: ColumnSink, rows: number): void {
    into.copy('first', this.#first, rows);
    into.copy('last', this.#last, rows);
    into.copy('length', this.#length, rows);
    const used = this.#used;
    into.copy('next', this.#next, used);
    into.copy('product', this.product, used);
    into.copy('category', this.category, used);
    into.copy('sum', this.sum, used);
    into.copy('count', this.count, used);
    into.copy('last-ts', this.lastTs, used);
    into.copy('purchases', this.purchases, used);
    into.share('free', Int32Array.of(this.#free));
  }

  load(from: ColumnSource): void {
    this.#first = from.take('first', Int32Array);
    this.#last = from.take('last', Int32Array);
    this.#length = from.take('length', Int32Array);
    this.#next = from.take('next', Int32Array);
    this.product = from.take('product', Int32Array);
    this.category = from.take('category', Int32Array);
    this.sum = from.take('sum', Float64Array);
    this.count = from.take('count', Uint32Array);
    this.lastTs = from.take('last-ts', Float64Array);
    this.purchases = from.take('purchases', Uint32Array);
    this.#free = from.take('free', Int32Array)[0]!;
    this.#used = this.product.length;
    this.#indexes.clear();
  }

  #indexOf(row: number): Map<number, number> {
    let index = this.#indexes.get(row);
    if (index === undefined) {
      index = new Map();
      for (let entry = this.#first[row]!; entry !== NONE; entry = this.#next[entry]!)
        index.set(indexKey(this.product[entry]!, this.category[entry]!), entry);
      this.#indexes.set(row, index);
    }
    return index;
  }

  #allocate(): number {
    if (this.#free !== NONE) {
      const entry = this.#free;
      this.#free = this.#next[entry]!;
      return entry;
    }
    if (this.#used === this.product.length) {
      const capacity = capacityFor(this.#used + 1, this.#used);
      this.#next = enlarged(this.#next, capacity);
      this.product = enlarged(this.product, capacity);
      this.category = enlarged(this.category, capacity);
      this.sum = enlarged(this.sum, capacity);
      this.count = enlarged(this.count, capacity);
      this.lastTs = enlarged(this.lastTs, capacity);
      this.purchases = enlarged(this.purchases, capacity);
    }
    return this.#used++;
  }
}

/** Exact below 2^53: products below 2^31, categories below 2^21. */
function indexKey(product: number, category: number): number {
  return product * 2_097_152 + category + 1;
}
