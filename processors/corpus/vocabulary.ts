/**
 * Terms as small integers, in order of first sight, so that frequent ones have small numbers. Like Interner, for
 * callers that already have the hash, with each term's shard. A term that no document contains any more keeps its
 * number until the task restarts.
 */
import { FreshetError } from '../../runtime/process/errors.js';
import { enlarged } from '../../runtime/tasks/state/columns.js';
import type { ColumnSink, ColumnSource } from '../../runtime/tasks/state/saved-columns.js';
import { fnv1a, shardOf } from './shards.js';

const NONE = -1;

export class Vocabulary {
  /** Two per slot, so that both lie in one cache line: number + 1 (0: free), hash. */
  #slots = new Int32Array(2 * 8192);
  #starts = new Uint32Array(4097);
  #shards = new Uint8Array(4096);
  #arena = Buffer.allocUnsafe(65_536);
  #used = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get bytesHeld(): number {
    return this.#arena.length + this.#slots.byteLength + this.#starts.byteLength;
  }

  /** The number of bytes[start..start+length), whose FNV-1a is `hash`; assigned if it is new. */
  intern(bytes: Buffer, start: number, length: number, hash: number): number {
    const slots = this.#slots;
    const arena = this.#arena;
    const starts = this.#starts;
    const mask = slots.length - 1;
    let slot = slotOf(hash, mask);
    for (;;) {
      const id = slots[slot]! - 1;
      if (id === NONE) return this.#add(bytes, start, length, hash, slot);
      if (slots[slot + 1] === hash) {
        const from = starts[id]!;
        if (starts[id + 1]! - from === length) {
          let i = 0;
          while (i < length && arena[from + i] === bytes[start + i]) i++;
          if (i === length) return id;
        }
      }
      slot = (slot + 2) & mask;
    }
  }

  /** The number of bytes[start..end), or -1. */
  find(bytes: Buffer, start: number, end: number): number {
    const hash = fnv1a(bytes, start, end);
    const mask = this.#slots.length - 1;
    for (let slot = slotOf(hash, mask); this.#slots[slot] !== 0; slot = (slot + 2) & mask) {
      const id = this.#slots[slot]! - 1;
      const isEqual = this.#arena.compare(bytes, start, end, this.#starts[id]!, this.#starts[id + 1]!) === 0;
      if (this.#slots[slot + 1] === hash && isEqual) return id;
    }
    return NONE;
  }

  #add(bytes: Buffer, start: number, length: number, hash: number, slot: number): number {
    const id = this.#count;
    if (this.#used + length > this.#arena.length) {
      const arena = Buffer.allocUnsafe(Math.max(this.#arena.length * 2, this.#used + length));
      this.#arena.copy(arena, 0, 0, this.#used);
      this.#arena = arena;
    }
    for (let i = 0; i < length; i++) this.#arena[this.#used + i] = bytes[start + i]!;
    this.#used += length;
    this.#starts[id + 1] = this.#used;
    this.#shards[id] = shardOf(hash);
    this.#slots[slot] = id + 1;
    this.#slots[slot + 1] = hash;
    this.#count++;
    if (this.#count * 4 >= this.#slots.length) this.#grow();
    return id;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let from = 0; from < this.#slots.length; from += 2) {
      if (this.#slots[from] === 0) continue;
      const hash = this.#slots[from + 1]!;
      let slot = slotOf(hash, mask);
      while (slots[slot] !== 0) slot = (slot + 2) & mask;
      slots[slot] = this.#slots[from]!;
      slots[slot + 1] = hash;
    }
    this.#slots = slots;
    this.#starts = enlarged(this.#starts, (slots.length >> 2) + 1);
    this.#shards = enlarged(this.#shards, slots.length >> 2);
  }

  /** All terms end to end, and the range of each; for writers that copy. */
  get arena(): Buffer {
    return this.#arena;
  }

  startOf(id: number): number {
    return this.#starts[id]!;
  }

  endOf(id: number): number {
    return this.#starts[id + 1]!;
  }

  shardOf(id: number): number {
    return this.#shards[id]!;
  }

  /** A view, valid until the next intern. */
  bytesOf(id: number): Buffer {
    return this.#arena.subarray(this.#starts[id]!, this.#starts[id + 1]!);
  }

  stringOf(id: number): string {
    return this.#arena.toString('utf8', this.#starts[id]!, this.#starts[id + 1]!);
  }

  /** The bytes and where they start; the rest is cheaper to rebuild than to save. */
  save(into: ColumnSink): void {
    const { buffer, byteOffset } = this.#arena;
    into.copy('bytes', new Uint8Array(buffer, byteOffset, this.#used));
    into.copy('starts', this.#starts, this.#count + 1);
  }

  /** Loads saved contents into an empty vocabulary, under the same numbers. */
  load(from: ColumnSource): void {
    const bytes = from.take('bytes', Uint8Array);
    const starts = from.take('starts', Uint32Array);
    if (starts.at(-1) !== bytes.length) throw new FreshetError('invalid_data', 'its terms do not match their bytes');
    const arena = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let id = 0; id + 1 < starts.length; id++) {
      const start = starts[id]!;
      this.intern(arena, start, starts[id + 1]! - start, fnv1a(arena, start, starts[id + 1]!));
    }
    if (this.#count !== starts.length - 1) throw new FreshetError('invalid_data', 'it has the same term twice');
  }
}

/** The low bits choose the shard and are not well distributed within one: the high ones are folded in. */
function slotOf(hash: number, mask: number): number {
  return ((hash ^ (hash >>> 15)) << 1) & mask;
}
