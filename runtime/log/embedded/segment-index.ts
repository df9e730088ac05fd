/**
 * Maps offsets to positions in a segment file: one entry per 16 KiB of batches, plus what must be known of a segment
 * without reading it. The index of the active segment grows in memory; that of a closed segment is in a file next to
 * it, and is rebuilt from the batch headers if that file is missing or does not match.
 */
import { crc32c } from '@node-rs/crc32';

const INTERVAL_BYTES = 16 * 1024;
const MAGIC = 0x46_52_53_49;
const FIXED_FIELDS = 9;

/** Facts about a whole segment, apart from its batches. */
export interface SegmentFacts {
  /** When the first and the last batch were appended, by the log's clock; record timestamps may be anything. */
  firstAppendMs: number;
  lastAppendMs: number;
  /** Every record in it has been through a compaction. */
  compacted: boolean;
  /** The earliest time at which a tombstone in it may be removed; Infinity if it has none. */
  tombstonesMs: number;
}

/** Facts of a segment without batches. */
export function noFacts(): SegmentFacts {
  return { firstAppendMs: 0, lastAppendMs: 0, compacted: false, tombstonesMs: Number.POSITIVE_INFINITY };
}

export class SegmentIndex {
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];
  /** Largest timestamp of all batches before the entry: shows how far a search by time may skip. */
  readonly #timesBefore: number[] = [];
  /** Bytes of the segment that the index covers. */
  size = 0;
  /** Largest record timestamp, -Infinity for an empty segment. */
  maxTimestamp = Number.NEGATIVE_INFINITY;

  /** Adds the batch that follows the earlier ones. */
  add(baseOffset: number, bytes: number, maxTimestamp: number): void {
    const last = this.#positions.length - 1;
    if (last < 0 || this.size - this.#positions[last]! >= INTERVAL_BYTES) {
      this.#offsets.push(baseOffset);
      this.#positions.push(this.size);
      this.#timesBefore.push(this.maxTimestamp);
    }
    this.size += bytes;
    if (maxTimestamp > this.maxTimestamp) this.maxTimestamp = maxTimestamp;
  }

  /** A position at or before the batch with `offset` or, if that is missing, the next one. */
  positionOf(offset: number): number {
    const at = lastAtMost(this.#offsets, offset);
    return at < 0 ? 0 : this.#positions[at]!;
  }

  /** A position before which no record has a timestamp ≥ ms. */
  positionForTime(ms: number): number {
    let low = 0;
    let high = this.#timesBefore.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timesBefore[middle]! < ms) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#positions[low - 1]!;
  }

  encode(facts: SegmentFacts): Buffer {
    const count = this.#offsets.length;
    const fields = new Float64Array(FIXED_FIELDS + 3 * count);
    fields.set([
      MAGIC,
      1,
      this.size,
      this.maxTimestamp,
      facts.firstAppendMs,
      facts.lastAppendMs,
      facts.compacted ? 1 : 0,
      facts.tombstonesMs,
      count,
    ]);
    fields.set(this.#offsets, FIXED_FIELDS);
    fields.set(this.#positions, FIXED_FIELDS + count);
    fields.set(this.#timesBefore, FIXED_FIELDS + 2 * count);
    const bytes = Buffer.from(fields.buffer);
    const check = Buffer.alloc(4);
    check.writeUInt32LE(crc32c(bytes));
    return Buffer.concat([bytes, check]);
  }

  /** Null if the bytes are not the index of a segment of `size` bytes. */
  static decode(bytes: Buffer, size: number): { index: SegmentIndex; facts: SegmentFacts } | null {
    const end = bytes.length - 4;
    if (end < FIXED_FIELDS * 8 || end % 8 !== 0) return null;
    if (crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return null;
    // A copy, because a Float64Array must begin at a multiple of eight.
    const fields = new Float64Array(new Uint8Array(bytes.subarray(0, end)).buffer);
    const count = fields[8]!;
    if (fields[0] !== MAGIC || fields[1] !== 1 || fields[2] !== size) return null;
    if (fields.length !== FIXED_FIELDS + 3 * count) return null;
    const index = new SegmentIndex();
    index.size = size;
    index.maxTimestamp = fields[3]!;
    for (let i = 0; i < count; i++) {
      index.#offsets.push(fields[FIXED_FIELDS + i]!);
      index.#positions.push(fields[FIXED_FIELDS + count + i]!);
      index.#timesBefore.push(fields[FIXED_FIELDS + 2 * count + i]!);
    }
    return {
      index,
      facts: {
        firstAppendMs: fields[4]!,
        lastAppendMs: fields[5]!,
        compacted: fields[6] === 1,
        tombstonesMs: fields[7]!,
      },
    };
  }
}

/** Position of the last value ≤ `value` in an ascending list; -1 if there is none. */
function lastAtMost(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
