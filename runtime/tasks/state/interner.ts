/**
 * Byte strings as small integers. Ids are assigned in order of first occurrence and never released; the bytes are
 * stored end to end in one arena, so a million ids cost two typed arrays and a buffer instead of a million strings.
 */
import { FreshetError } from '../../process/errors.js';
import type { ColumnSink, ColumnSource } from './saved-columns.js';

export class Interner {
  #slots: Int32Array;
  #hashes: Int32Array;
  #starts: Float64Array;
  #arena: Buffer;
  #used = 0;
  #count = 0;

  constructor(initialIds = 1024) {
    let slots = 16;
    while (slots < initialIds * 2) slots *= 2;
    this.#slots = new Int32Array(slots).fill(-1);
    this.#hashes = new Int32Array(slots >> 1);
    this.#starts = new Float64Array((slots >> 1) + 1);
    this.#arena = Buffer.allocUnsafe(initialIds * 16);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes in memory, for estimates. */
  get bytesHeld(): number {
    return this.#arena.length + this.#slots.byteLength + this.#hashes.byteLength + this.#starts.byteLength;
  }

  /** Id of bytes[start..end), assigned if it is new. */
  intern(bytes: Uint8Array, start = 0, end = bytes.length): number {
    const hash = fnv1a(bytes, start, end);
    const slot = this.#slotOf(hash, bytes, start, end);
    const found = this.#slots[slot]!;
    if (found >= 0) return found;
    const id = this.#count;
    if ((id + 1) * 2 > this.#slots.length) {
      this.#grow();
      return this.intern(bytes, start, end);
    }
    const length = end - start;
    if (this.#used + length > this.#arena.length) {
      const arena = Buffer.allocUnsafe(Math.max(this.#arena.length * 2, this.#used + length));
      this.#arena.copy(arena, 0, 0, this.#used);
      this.#arena = arena;
    }
    this.#arena.set(bytes.subarray(start, end), this.#used);
    this.#hashes[id] = hash;
    this.#starts[id] = this.#used;
    this.#used += length;
    this.#starts[id + 1] = this.#used;
    this.#slots[slot] = id;
    this.#count++;
    return id;
  }

  /** Id of bytes[start..end), or -1. */
  find(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.#slots[this.#slotOf(fnv1a(bytes, start, end), bytes, start, end)]!;
  }

  /** The bytes of an id: a view that is valid until the next intern. */
  bytesOf(id: number): Buffer {
    return this.#arena.subarray(this.#starts[id]!, this.#starts[id + 1]!);
  }

  stringOf(id: number): string {
    return this.#arena.toString('utf8', this.#starts[id]!, this.#starts[id + 1]!);
  }

  /** The arena and the range of an id in it, for writers that copy. */
  get arena(): Buffer {
    return this.#arena;
  }

  startOf(id: number): number {
    return this.#starts[id]!;
  }

  endOf(id: number): number {
    return this.#starts[id + 1]!;
  }

  /** The bytes and where they start; rebuilding the table is cheaper than saving it. */
  save(into: ColumnSink): void {
    const { buffer, byteOffset } = this.#arena;
    into.copy('bytes', new Uint8Array(buffer, byteOffset, this.#used));
    into.copy('starts', this.#starts, this.#count + 1);
  }

  /** Replaces all ids by the saved ones, with the same numbers. */
  load(from: ColumnSource): void {
    const bytes = from.take('bytes', Uint8Array);
    const starts = from.take('starts', Float64Array);
    this.#count = starts.length - 1;
    this.#used = bytes.length;
    if (starts[this.#count] !== this.#used) throw new FreshetError('invalid_data', 'its ids do not fit their bytes');
    this.#arena = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let slots = 16;
    while (slots < (this.#count + 1) * 2) slots *= 2;
    this.#slots = new Int32Array(slots).fill(-1);
    this.#hashes = new Int32Array(slots >> 1);
    this.#starts = new Float64Array((slots >> 1) + 1);
    this.#starts.set(starts);
    const mask = slots - 1;
    for (let id = 0; id < this.#count; id++) {
      const hash = fnv1a(this.#arena, this.#starts[id]!, this.#starts[id + 1]!);
      this.#hashes[id] = hash;
      let slot = hash & mask;
      while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
      this.#slots[slot] = id;
    }
  }

  #slotOf(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    const length = end - start;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot]!;
      if (id < 0) return slot;
      if (this.#hashes[id] !== hash) continue;
      const from = this.#starts[id]!;
      if (this.#starts[id + 1]! - from !== length) continue;
      let i = 0;
      while (i < length && this.#arena[from + i] === bytes[start + i]) i++;
      if (i === length) return slot;
    }
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (let id = 0; id < this.#count; id++) {
      let slot = this.#hashes[id]! & mask;
      while (slots[slot]! >= 0) slot = (slot + 1) & mask;
      slots[slot] = id;
    }
    const hashes = new Int32Array(slots.length >> 1);
    hashes.set(this.#hashes);
    const starts = new Float64Array((slots.length >> 1) + 1);
    starts.set(this.#starts);
    this.#slots = slots;
    this.#hashes = hashes;
    this.#starts = starts;
  }
}

/** FNV-1a, 32 bits, with a final mix so that the low bits depend on all of them. */
function fnv1a(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash ^= hash >>> 15;
  return hash;
}
