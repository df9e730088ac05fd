/**
 * Pairs of user and product in typed arrays: 9 bytes each, in segments, so that growing never copies existing data. A
 * user's pairs are contiguous, oldest last interaction first; rewritten pairs reuse their old place if they fit.
 */
const SEGMENT_BITS = 16;
const SEGMENT = 2 ** SEGMENT_BITS;
const MASK = SEGMENT - 1;
/** The most pairs a user may have. */
export const USER_PAIRS_MAX = SEGMENT - 1;
/** Counts are only compared with a minimum: from here on they are "enough". */
export const COUNT_MAX = 255;
const PAIR_BYTES = 9;
/** Gaps may take at most this share of the used space before they are closed. */
const GAPS_SHARE_MAX = 1 / 4;
/** And must be at least twice as large as after the last time they were closed. */
const GAPS_GROWTH = 2;

interface Segment {
  readonly products: Uint32Array;
  readonly weights: Float32Array;
  readonly counts: Uint8Array;
}

/** Pairs of one user as input or output; the arrays are at least `length` long. */
interface PairList {
  length: number;
  products: Uint32Array;
  weights: Float32Array;
  counts: Uint8Array;
}

export class PairStore {
  #segments: Segment[] = [];
  #used = 0;
  #pairs = 0;
  #gapsMax = SEGMENT;
  #starts = new Float64Array(1024);
  #lengths = new Uint16Array(1024);
  #rooms = new Uint16Array(1024);

  /** Live pairs. */
  get pairs(): number {
    return this.#pairs;
  }

  get bytesHeld(): number {
    return this.#segments.length * SEGMENT * PAIR_BYTES + this.#starts.length * 12;
  }

  lengthOf(user: number): number {
    return user < this.#lengths.length ? this.#lengths[user]! : 0;
  }

  /** Copies a user's pairs into `into`, which must have room for them. */
  read(user: number, into: PairList): void {
    const length = this.lengthOf(user);
    into.length = length;
    if (length === 0) return;
    const { segment, at } = this.#placeOf(this.#starts[user]!);
    into.products.set(segment.products.subarray(at, at + length));
    into.weights.set(segment.weights.subarray(at, at + length));
    into.counts.set(segment.counts.subarray(at, at + length));
  }

  /** Replaces the user's previous pairs; an empty list removes them. */
  write(user: number, list: PairList): void {
    this.#reserveUser(user);
    this.#pairs += list.length - this.#lengths[user]!;
    if (list.length > this.#rooms[user]!) {
      this.#starts[user] = this.#append(list.length);
      this.#rooms[user] = list.length;
    }
    this.#lengths[user] = list.length;
    if (list.length > 0) {
      const { segment, at } = this.#placeOf(this.#starts[user]!);
      segment.products.set(list.products.subarray(0, list.length), at);
      segment.weights.set(list.weights.subarray(0, list.length), at);
      segment.counts.set(list.counts.subarray(0, list.length), at);
    }
    const gaps = this.#used - this.#pairs;
    if (gaps > this.#gapsMax && gaps > this.#used * GAPS_SHARE_MAX) this.#close();
  }

  /** Removes everything. */
  clear(): void {
    this.#segments = [];
    this.#used = 0;
    this.#pairs = 0;
    this.#starts = new Float64Array(0);
    this.#lengths = new Uint16Array(0);
    this.#rooms = new Uint16Array(0);
  }

  #placeOf(start: number): { segment: Segment; at: number } {
    return { segment: this.#segments[Math.floor(start / SEGMENT)]!, at: start & MASK };
  }

  #append(length: number): number {
    const left = this.#segments.length * SEGMENT - this.#used;
    if (left < length) {
      this.#used += left;
      this.#segments.push({
        products: new Uint32Array(SEGMENT),
        weights: new Float32Array(SEGMENT),
        counts: new Uint8Array(SEGMENT),
      });
    }
    const start = this.#used;
    this.#used += length;
    return start;
  }

  #reserveUser(user: number): void {
    if (user < this.#starts.length) return;
    const size = Math.max(1024, user + 1, Math.ceil(this.#starts.length * 1.5));
    const grown = <T extends Float64Array | Uint16Array>(from: T, to: T): T => {
      to.set(from as never);
      return to;
    };
    this.#starts = grown(this.#starts, new Float64Array(size));
    this.#lengths = grown(this.#lengths, new Uint16Array(size));
    this.#rooms = grown(this.#rooms, new Uint16Array(size));
  }

  /** Moves all users' pairs together, in their current order; a segment is freed once it is empty. */
  #close(): void {
    const order = Float64Array.from(this.#lengths.keys()).filter((user) => this.#rooms[user]! > 0);
    order.sort((a, b) => this.#starts[a]! - this.#starts[b]!);
    const old = this.#segments as (Segment | null)[];
    this.#segments = [];
    this.#used = 0;
    let freed = 0;
    for (const user of order) {
      const length = this.#lengths[user]!;
      const from = this.#starts[user]!;
      const index = Math.floor(from / SEGMENT);
      while (freed < index) old[freed++] = null;
      this.#rooms[user] = length;
      if (length === 0) continue;
      const source = old[index]!;
      const begin = from & MASK;
      const start = this.#append(length);
      const { segment, at } = this.#placeOf(start);
      segment.products.set(source.products.subarray(begin, begin + length), at);
      segment.weights.set(source.weights.subarray(begin, begin + length), at);
      segment.counts.set(source.counts.subarray(begin, begin + length), at);
      this.#starts[user] = start;
    }
    this.#gapsMax = Math.max(SEGMENT, GAPS_GROWTH * (this.#used - this.#pairs));
  }
}

export function pairList(): PairList {
  return {
    length: 0,
    products: new Uint32Array(USER_PAIRS_MAX),
    weights: new Float32Array(USER_PAIRS_MAX),
    counts: new Uint8Array(USER_PAIRS_MAX),
  };
}
