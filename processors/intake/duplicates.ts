/**
 * Which events were seen within the duplicate horizon. A record is a duplicate if an earlier one with the same identity
 * has a partition clock at most the horizon before this one's. Identities are in generations of a sixth of the horizon
 * each, so that forgetting means dropping a table; each keeps the exact clock, so that the edge is exact too.
 *
 * One clock per partition, never one for all: a shared one misses duplicates while a slow partition catches up.
 */
import type { ColumnSink, ColumnSource } from '../../runtime/tasks/state/saved-columns.js';

const WORDS = 5;
const GENERATIONS = 6;

class Generation {
  readonly startMs: number;
  #slots: Int32Array;
  #count: number;

  constructor(startMs: number, slots = new Int32Array(1024 * WORDS), count = 0) {
    this.startMs = startMs;
    this.#slots = slots;
    this.#count = count;
  }

  get slots(): Int32Array {
    return this.#slots;
  }

  get count(): number {
    return this.#count;
  }

  get bytesHeld(): number {
    return this.#slots.byteLength;
  }

  /** Clock of an identity in ms, or -1. */
  clockOf(id: Int32Array): number {
    const at = this.#find(this.#slots, id);
    const delta = this.#slots[at + 4]! >>> 0;
    return delta === 0 ? -1 : this.startMs + delta - 1;
  }

  put(id: Int32Array, clockMs: number): void {
    if (this.#count * 5 > (this.#slots.length / WORDS) * 3) this.#grow();
    const at = this.#find(this.#slots, id);
    if (this.#slots[at + 4] === 0) {
      this.#count++;
      this.#slots[at] = id[0]!;
      this.#slots[at + 1] = id[1]!;
      this.#slots[at + 2] = id[2]!;
      this.#slots[at + 3] = id[3]!;
    }
    this.#slots[at + 4] = clockMs - this.startMs + 1;
  }

  #find(slots: Int32Array, id: Int32Array): number {
    const mask = slots.length / WORDS - 1;
    const id0 = id[0]!;
    for (let slot = id0 & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS;
      if (slots[at + 4] === 0) return at;
      if (slots[at] === id0 && slots[at + 1] === id[1] && slots[at + 2] === id[2] && slots[at + 3] === id[3]) return at;
    }
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2);
    const id = new Int32Array(4);
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from + 4] === 0) continue;
      for (let i = 0; i < 4; i++) id[i] = old[from + i]!;
      const at = this.#find(slots, id);
      for (let i = 0; i < WORDS; i++) slots[at + i] = old[from + i]!;
    }
    this.#slots = slots;
  }
}

export class DuplicateSet {
  readonly #horizonMs: number;
  readonly #generationMs: number;
  /** Newest first. */
  readonly #generations: Generation[] = [];

  /** `horizonMs` at most 7 days. */
  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
    this.#generationMs = Math.ceil(horizonMs / GENERATIONS);
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.count, 0);
  }

  get bytesHeld(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.bytesHeld, 0);
  }

  /**
   * Whether the identity was seen at a clock ≥ clockMs − horizon; remembers it at clockMs in either case. Clocks never
   * go back.
   */
  seen(id: Int32Array, clockMs: number): boolean {
    let known = false;
    for (const generation of this.#generations) {
      const clock = generation.clockOf(id);
      if (clock < 0) continue;
      known = clockMs - clock <= this.#horizonMs;
      break;
    }
    this.#current(clockMs).put(id, clockMs);
    return known;
  }

  /** Only the newest generation still changes: the others, which are most of it, need no copy. */
  save(into: ColumnSink): void {
    for (const [i, { slots }] of this.#generations.entries()) {
      if (i === 0) into.copy('0', slots);
      else into.share(String(i), slots);
    }
    into.share('generations', Float64Array.from(this.#generations.flatMap(({ startMs, count }) => [startMs, count])));
  }

  /** Loads saved contents into an empty set of the same horizon. */
  load(from: ColumnSource): void {
    const generations = from.take('generations', Float64Array);
    for (let i = 0; i < generations.length / 2; i++) {
      const slots = from.take(String(i), Int32Array);
      this.#generations.push(new Generation(generations[2 * i]!, slots, generations[2 * i + 1]!));
    }
  }

  #current(clockMs: number): Generation {
    const startMs = Math.floor(clockMs / this.#generationMs) * this.#generationMs;
    let newest = this.#generations[0];
    if (newest === undefined || newest.startMs < startMs) {
      newest = new Generation(startMs);
      this.#generations.unshift(newest);
      while (this.#generations.at(-1)!.startMs + this.#generationMs <= clockMs - this.#horizonMs)
        this.#generations.pop();
    }
    return newest;
  }
}
