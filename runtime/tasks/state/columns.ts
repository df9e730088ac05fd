/** Typed arrays that grow together. */

export type NumberColumn = Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** A copy of at least `length` elements, new ones 0. */
export function enlarged<T extends NumberColumn>(column: T, length: number): T {
  const make = column.constructor as new (length: number) => T;
  const copy = new make(length);
  copy.set(column as never);
  return copy;
}

/** The smallest capacity step that holds `needed`. */
export function capacityFor(needed: number, current: number): number {
  return needed <= current ? current : Math.max(needed, Math.ceil(current * 1.5), 16);
}

/** A growing list of integers; unlike an array it never boxes. */
export class IntList {
  #items = new Int32Array(16);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(index: number): number {
    return this.#items[index]!;
  }

  /** A view of all items, valid until the next change. */
  get items(): Int32Array {
    return this.#items.subarray(0, this.#length);
  }

  push(value: number): void {
    if (this.#length === this.#items.length) this.#items = enlarged(this.#items, this.#length * 2);
    this.#items[this.#length++] = value;
  }

  /** Keeps those for which `keep` is true, in their order. */
  retain(keep: (value: number) => boolean): void {
    let kept = 0;
    for (let i = 0; i < this.#length; i++) {
      const value = this.#items[i]!;
      if (keep(value)) this.#items[kept++] = value;
    }
    this.#length = kept;
  }

  /** Removes the first `count`. */
  dropFirst(count: number): void {
    this.#items.copyWithin(0, count, this.#length);
    this.#length -= count;
  }

  clear(): void {
    this.#length = 0;
    if (this.#items.length > 65_536) this.#items = new Int32Array(16);
  }
}

/** A set of small integers in order of arrival: one flag each, and a list. */
export class DueSet {
  #flags = new Uint8Array(1024);
  readonly #list = new IntList();

  get size(): number {
    return this.#list.length;
  }

  at(index: number): number {
    return this.#list.at(index);
  }

  /** A view of the ids in order of arrival, valid until the next change. */
  get ids(): Int32Array {
    return this.#list.items;
  }

  has(id: number): boolean {
    return id < this.#flags.length && this.#flags[id] === 1;
  }

  /** True if it was not in the set. */
  add(id: number): boolean {
    if (id >= this.#flags.length) this.#flags = enlarged(this.#flags, capacityFor(id + 1, this.#flags.length));
    if (this.#flags[id] === 1) return false;
    this.#flags[id] = 1;
    this.#list.push(id);
    return true;
  }

  /** Removes the first `count`. */
  dropFirst(count: number): void {
    for (let i = 0; i < count; i++) this.#flags[this.#list.at(i)] = 0;
    this.#list.dropFirst(count);
  }

  /** Removes those for which `leaves` is true; the others keep their order. */
  remove(leaves: (id: number) => boolean): void {
    this.#list.retain((id) => {
      if (!leaves(id)) return true;
      this.#flags[id] = 0;
      return false;
    });
  }

  clear(): void {
    this.dropFirst(this.size);
    this.#list.clear();
  }
}
