/**
 * The latest offset of each key, for compaction: an open-addressing table over the bytes of the keys. Exact, and a
 * third of the size of a Map of strings.
 */
import { murmur2 } from '../../../topics/partition.js';

const EMPTY = -1;

export class KeyOffsets {
  #slots = new Int32Array(1024).fill(EMPTY);
  #starts = new Float64Array(512);
  #hashes = new Int32Array(512);
  #offsets = new Float64Array(512);
  #keys = Buffer.allocUnsafe(16 * 1024);
  #keyBytes = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Memory in use, bytes. */
  get bytes(): number {
    return this.#slots.byteLength + this.#starts.byteLength * 2 + this.#hashes.byteLength + this.#keys.length;
  }

  /** Notes that bytes[start..end) was written at `offset`; the last call wins. */
  set(bytes: Buffer, start: number, end: number, offset: number): void {
    const hash = murmur2(bytes, start, end);
    let slot = this.#find(hash, bytes, start, end);
    if (this.#slots[slot] !== EMPTY) {
      this.#offsets[this.#slots[slot]!] = offset;
      return;
    }
    if ((this.#count + 1) * 2 > this.#slots.length) {
      this.#grow();
      slot = this.#find(hash, bytes, start, end);
    }
    this.#reserve(end - start);
    const entry = this.#count++;
    this.#slots[slot] = entry;
    this.#starts[entry] = this.#keyBytes;
    this.#hashes[entry] = hash;
    this.#offsets[entry] = offset;
    this.#keyBytes += bytes.copy(this.#keys, this.#keyBytes, start, end);
  }

  /** The latest offset of a key; -1 if it was never noted. */
  get(bytes: Buffer, start: number, end: number): number {
    const entry = this.#slots[this.#find(murmur2(bytes, start, end), bytes, start, end)]!;
    return entry === EMPTY ? -1 : this.#offsets[entry]!;
  }

  /** The slot of the key, or the empty slot where it belongs. */
  #find(hash: number, bytes: Buffer, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!;
      if (entry === EMPTY) return slot;
      if (this.#hashes[entry] === hash && this.#equals(entry, bytes, start, end)) return slot;
    }
  }

  #equals(entry: number, bytes: Buffer, start: number, end: number): boolean {
    const from = this.#starts[entry]!;
    const to = entry + 1 < this.#count ? this.#starts[entry + 1]! : this.#keyBytes;
    return to - from === end - start && this.#keys.compare(bytes, start, end, from, to) === 0;
  }

  #reserve(more: number): void {
    if (this.#keyBytes + more <= this.#keys.length) return;
    const keys = Buffer.allocUnsafe(Math.max(this.#keys.length * 2, this.#keyBytes + more));
    this.#keys.copy(keys, 0, 0, this.#keyBytes);
    this.#keys = keys;
  }

  #grow(): void {
    const capacity = this.#slots.length;
    const grown = <T extends Float64Array | Int32Array>(to: T, from: T): T => {
      to.set(from as never);
      return to;
    };
    this.#starts = grown(new Float64Array(capacity), this.#starts);
    this.#hashes = grown(new Int32Array(capacity), this.#hashes);
    this.#offsets = grown(new Float64Array(capacity), this.#offsets);
    const slots = new Int32Array(capacity * 2).fill(EMPTY);
    const mask = slots.length - 1;
    for (let entry = 0; entry < this.#count; entry++) {
      let slot = this.#hashes[entry]! & mask;
      while (slots[slot] !== EMPTY) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.#slots = slots;
  }
}
