/**
 * Record batches, magic 2 (Kafka protocol guide, "Record Batch"): read in place into columns, and built into one
 * buffer. The Kafka data plane and the files of the embedded log use the same bytes.
 */
import { crc32c } from '@node-rs/crc32';
import { FreshetError } from '../process/errors.js';
import { readInt64, writeInt64 } from '../process/int64.js';
import type { RecordColumns, TopicPartition } from './log.js';

export const BATCH_HEADER_BYTES = 61;
const OFFSET_BASE = 0;
const OFFSET_LENGTH = 8;
const OFFSET_LEADER_EPOCH = 12;
const OFFSET_MAGIC = 16;
const OFFSET_CRC = 17;
const OFFSET_ATTRIBUTES = 21;
const OFFSET_LAST_DELTA = 23;
const OFFSET_BASE_TIMESTAMP = 27;
const OFFSET_MAX_TIMESTAMP = 35;
const OFFSET_PRODUCER_ID = 43;
const OFFSET_PRODUCER_EPOCH = 51;
const OFFSET_BASE_SEQUENCE = 53;
const OFFSET_COUNT = 57;

const COMPRESSION_MASK = 0x07;
const TIMESTAMP_LOG_APPEND = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** Length, attributes, time, offset, key length, value length, header count: at least one byte each. */
const RECORD_BYTES_MIN = 7;

/** Compression codecs by their number in the batch attributes. */
type Decompress = (codec: number, bytes: Buffer) => Buffer;

/** A transaction whose records a read_committed reader must skip, starting at its first offset. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

const BYTES_PER_ROW = 2 * Float64Array.BYTES_PER_ELEMENT + 4 * Int32Array.BYTES_PER_ELEMENT;

/** Fills columns over one buffer; every buffer gets a new builder (each compressed batch has its own buffer). */
class ColumnsBuilder {
  readonly bytes: Buffer;
  count = 0;
  nextOffset: number;
  unreadable: Map<number, string> | null = null;
  #capacity = -1;
  offsets!: Float64Array;
  timestamps!: Float64Array;
  keyStart!: Int32Array;
  keyEnd!: Int32Array;
  valueStart!: Int32Array;
  valueEnd!: Int32Array;

  constructor(bytes: Buffer, nextOffset: number) {
    this.bytes = bytes;
    this.nextOffset = nextOffset;
    this.#allocate(0);
  }

  /** A row that stands for the batch of `size` bytes at `at`. Its value starts with the magic, which is no framing of ours. */
  addUnreadable(at: number, size: number, offset: number, reason: string): void {
    const row = this.count++;
    this.offsets[row] = offset;
    this.timestamps[row] = readInt64(this.bytes, at + OFFSET_MAX_TIMESTAMP);
    this.keyStart[row] = -1;
    this.keyEnd[row] = -1;
    this.valueStart[row] = at + OFFSET_MAGIC;
    this.valueEnd[row] = at + size;
    this.unreadable ??= new Map();
    this.unreadable.set(row, reason);
  }

  /** Makes room for `rows` more; `likely` more rows are expected soon. */
  reserve(rows: number, likely: number): void {
    if (this.count + rows <= this.#capacity) return;
    const { offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd } = this;
    this.#allocate(this.count + Math.max(rows, likely));
    this.offsets.set(offsets);
    this.timestamps.set(timestamps);
    this.keyStart.set(keyStart);
    this.keyEnd.set(keyEnd);
    this.valueStart.set(valueStart);
    this.valueEnd.set(valueEnd);
  }

  /** One block of memory for all columns: they have the same lifetime. */
  #allocate(capacity: number): void {
    const memory = new ArrayBuffer(capacity * BYTES_PER_ROW);
    this.#capacity = capacity;
    this.offsets = new Float64Array(memory, 0, capacity);
    this.timestamps = new Float64Array(memory, capacity * 8, capacity);
    this.keyStart = new Int32Array(memory, capacity * 16, capacity);
    this.keyEnd = new Int32Array(memory, capacity * 20, capacity);
    this.valueStart = new Int32Array(memory, capacity * 24, capacity);
    this.valueEnd = new Int32Array(memory, capacity * 28, capacity);
  }
}

/** Where the last varint ended: kept here, so that reading a number allocates no pair. */
let cursor = 0;

/** Value of `cursor` after a varint that is too long: beyond every end, so the record is found to be damaged. */
const BEHIND_EVERY_END = 2 ** 31;

/** Zigzag varint of at most 5 bytes at `at`; moves `cursor` past it. */
function varint(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) {
    cursor = at + 1;
    return (first >>> 1) ^ -(first & 1);
  }
  let value = first & 0x7f;
  for (let i = 1; i < 5; i++) {
    const byte = bytes[at + i]!;
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      cursor = at + i + 1;
      return (value >>> 1) ^ -(value & 1);
    }
  }
  cursor = BEHIND_EVERY_END;
  return 0;
}

/** Zigzag varlong of at most 10 bytes at `at`, exact below 2^52; moves `cursor` past it. */
function varlong(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) {
    cursor = at + 1;
    return (first >>> 1) ^ -(first & 1);
  }
  let value = first & 0x7f;
  let factor = 128;
  for (let i = 1; i < 10; i++) {
    const byte = bytes[at + i]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      cursor = at + i + 1;
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    factor *= 128;
  }
  cursor = BEHIND_EVERY_END;
  return 0;
}

export interface WalkOptions {
  readonly topic: string;
  readonly partition: number;
  /** Rows below this offset are left out: the log returns whole batches. */
  readonly fromOffset: number;
  /** Null for read_uncommitted. In any order. */
  readonly aborted: readonly AbortedTransaction[] | null;
  /** Rows at or above this offset (the last stable offset) are left out and end the walk; Infinity for no limit. */
  readonly untilOffset: number;
  readonly decompress: Decompress;
  /** Checksums cost about a tenth of the walk; the log port always checks them. */
  readonly checkCrc: boolean;
  /**
   * A wrong checksum after the first batch ends the walk, and this receives where its batch begins: what comes before it
   * is delivered, and the position then shows where the damage is. Without it, the walk throws.
   */
  readonly stopAtDamage?: (at: number) => void;
}

/**
 * Walks the complete batches in bytes[start..end) into columns. An incomplete batch at the end is ignored (the log cuts
 * answers at a byte limit). The result has at least one entry; its last nextOffset is where to continue reading. A batch
 * with a correct checksum whose records cannot be read becomes one row (RecordColumns.unreadable). Throws
 * FreshetError('invalid_data') on a wrong checksum, magic or length.
 */
export function walkBatches(bytes: Buffer, start: number, end: number, options: WalkOptions): RecordColumns[] {
  const done: ColumnsBuilder[] = [];
  let current = new ColumnsBuilder(bytes, options.fromOffset);
  done.push(current);
  const aborted = new AbortedFilter(options.aborted);
  let at = start;
  while (end - at >= BATCH_HEADER_BYTES) {
    if (bytes[at + OFFSET_MAGIC] !== 2)
      throw damaged(options, at, `magic ${bytes[at + OFFSET_MAGIC]} where 2 is needed`);
    const size = 12 + bytes.readInt32BE(at + OFFSET_LENGTH);
    if (size < BATCH_HEADER_BYTES) throw damaged(options, at, `a batch of ${size} bytes`);
    if (end - at < size) break;
    const base = readInt64(bytes, at + OFFSET_BASE);
    if (base >= options.untilOffset) break;
    const attributes = bytes.readInt16BE(at + OFFSET_ATTRIBUTES);
    const last = base + bytes.readInt32BE(at + OFFSET_LAST_DELTA);
    // What lies before the first wanted offset need not be intact: an operator may have given it up.
    if (options.checkCrc && last >= options.fromOffset) {
      const crc = crc32c(bytes.subarray(at + OFFSET_ATTRIBUTES, at + size));
      if (crc !== bytes.readUInt32BE(at + OFFSET_CRC)) {
        if (options.stopAtDamage !== undefined && current.nextOffset > options.fromOffset) {
          options.stopAtDamage(at);
          break;
        }
        throw damaged(options, at, `checksum mismatch of the batch with the offsets ${base} to ${last}`);
      }
    }
    const visible = aborted.isVisible(bytes, at, attributes, last);
    const count = bytes.readInt32BE(at + OFFSET_COUNT);
    if (visible && last >= options.fromOffset && count > 0) {
      /** The columns over the buffer that has the records. */
      const over = (source: Buffer, rows: number, likely: number) => {
        if (source !== current.bytes) {
          if (current.count === 0) done.pop();
          current = new ColumnsBuilder(source, current.nextOffset);
          done.push(current);
        }
        current.reserve(rows, likely);
        return current;
      };
      try {
        const codec = attributes & COMPRESSION_MASK;
        let source = bytes;
        let from = at + BATCH_HEADER_BYTES;
        let to = at + size;
        if (codec !== 0) {
          source = options.decompress(codec, bytes.subarray(from, to));
          from = 0;
          to = source.length;
        }
        if (count * RECORD_BYTES_MIN > to - from) throw damaged(options, at, `${count} records in ${to - from} bytes`);
        const into = over(source, count, source === bytes ? countRows(bytes, at, end) : count);
        walkRecords(into, from, to, count, base, bytes, at, attributes, options);
      } catch (error) {
        // The checksum is right: these are the bytes that a producer has sent, and they will never be readable.
        if (!options.checkCrc || !(error instanceof FreshetError) || error.code !== 'invalid_data') throw error;
        const place = `a batch of ${count} records, offsets ${base} to ${last}, ${size} bytes`;
        over(bytes, 1, 1).addUnreadable(at, size, Math.max(base, options.fromOffset), `${place}: ${error.message}`);
      }
    }
    // Compaction and control batches leave offsets without records: the position skips them.
    current.nextOffset = Math.max(current.nextOffset, Math.min(last + 1, options.untilOffset));
    at += size;
  }
  const { topic, partition } = options;
  return done.map((columns) => ({
    topic,
    partition,
    count: columns.count,
    offsets: columns.offsets,
    timestamps: columns.timestamps,
    bytes: columns.bytes,
    keyStart: columns.keyStart,
    keyEnd: columns.keyEnd,
    valueStart: columns.valueStart,
    valueEnd: columns.valueEnd,
    nextOffset: columns.nextOffset,
    ...(columns.unreadable === null ? {} : { unreadable: columns.unreadable }),
  }));
}

/** Rows of the complete batches in bytes[start..end) before the first compressed one, according to their headers. */
function countRows(bytes: Buffer, start: number, end: number): number {
  let rows = 0;
  for (let at = start; end - at >= BATCH_HEADER_BYTES; ) {
    const size = 12 + bytes.readInt32BE(at + OFFSET_LENGTH);
    const count = bytes.readInt32BE(at + OFFSET_COUNT);
    const plausible = size >= BATCH_HEADER_BYTES && size <= end - at && count >= 0 && count * RECORD_BYTES_MIN <= size;
    if (!plausible || (bytes.readInt16BE(at + OFFSET_ATTRIBUTES) & COMPRESSION_MASK) !== 0) break;
    rows += count;
    at += size;
  }
  return rows;
}

/** Decides, batch by batch in offset order, which batches a reader of this isolation sees. */
class AbortedFilter {
  readonly #readCommitted: boolean;
  /** Aborted transactions that start above the batches seen so far, the first one last. */
  readonly #ahead: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[] | null) {
    this.#readCommitted = aborted !== null;
    this.#ahead = aborted === null ? [] : [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  isVisible(bytes: Buffer, at: number, attributes: number, last: number): boolean {
    if ((attributes & (TRANSACTIONAL | CONTROL)) === 0) return true;
    if (!this.#readCommitted) return (attributes & CONTROL) === 0;
    while (this.#ahead.length > 0 && this.#ahead.at(-1)!.firstOffset <= last)
      this.#open.add(this.#ahead.pop()!.producerId);
    if (this.#open.size === 0) return (attributes & CONTROL) === 0;
    const producerId = bytes.readBigInt64BE(at + OFFSET_PRODUCER_ID);
    if ((attributes & CONTROL) === 0) return !this.#open.has(producerId);
    // A marker, commit or abort, ends its producer's transaction: later batches belong to the next one.
    this.#open.delete(producerId);
    return false;
  }
}

function walkRecords(
  into: ColumnsBuilder,
  from: number,
  to: number,
  count: number,
  base: number,
  header: Buffer,
  headerAt: number,
  attributes: number,
  options: WalkOptions,
): void {
  const bytes = into.bytes;
  const { fromOffset, untilOffset } = options;
  const appendTime = (attributes & TIMESTAMP_LOG_APPEND) !== 0;
  const baseTimestamp = readInt64(header, headerAt + (appendTime ? OFFSET_MAX_TIMESTAMP : OFFSET_BASE_TIMESTAMP));
  const { offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd } = into;
  let row = into.count;
  let at = from;
  for (let i = 0; i < count; i++) {
    const length = varint(bytes, at);
    const body = cursor;
    at = body + length;
    if (length < 0 || at > to) throw damaged(options, headerAt, 'a record reaches past its batch');
    const delta = varlong(bytes, body + 1);
    const offset = base + varint(bytes, cursor);
    const keyLength = varint(bytes, cursor);
    const keyAt = cursor;
    const valueLength = varint(bytes, keyLength > 0 ? keyAt + keyLength : keyAt);
    const valueAt = cursor;
    if ((valueLength > 0 ? valueAt + valueLength : valueAt) > at)
      throw damaged(options, headerAt, 'a key or value reaches past its record');
    if (offset < fromOffset || offset >= untilOffset) continue;
    offsets[row] = offset;
    timestamps[row] = appendTime ? baseTimestamp : baseTimestamp + delta;
    keyStart[row] = keyLength < 0 ? -1 : keyAt;
    keyEnd[row] = keyLength < 0 ? -1 : keyAt + keyLength;
    valueStart[row] = valueLength < 0 ? -1 : valueAt;
    valueEnd[row] = valueLength < 0 ? -1 : valueAt + valueLength;
    row++;
  }
  into.count = row;
}

function damaged(options: WalkOptions, at: number, what: string): FreshetError {
  const { topic, partition, fromOffset } = options;
  return new FreshetError(
    'invalid_data',
    `${topic}[${partition}] at byte ${at} of what was read from offset ${fromOffset}: ${what}; the log is damaged there`,
  );
}

/** Identity of an idempotent or transactional producer, stamped into its batches; all fields -1 for none. */
export interface ProducerStamp {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly transactional: boolean;
}

export const NO_PRODUCER: ProducerStamp = {
  producerId: -1n,
  producerEpoch: -1,
  baseSequence: -1,
  transactional: false,
};

/** Columns without rows, which move a position to `nextOffset`. */
export function noRows({ topic, partition }: TopicPartition, nextOffset: number): RecordColumns {
  const none = new Int32Array(0);
  return {
    topic,
    partition,
    count: 0,
    offsets: new Float64Array(0),
    timestamps: new Float64Array(0),
    bytes: Buffer.alloc(0),
    keyStart: none,
    keyEnd: none,
    valueStart: none,
    valueEnd: none,
    nextOffset,
  };
}

/** Builds one batch in a growing buffer. Reusable after reset(). */
export class RecordBatchBuilder {
  #bytes: Buffer;
  #end = BATCH_HEADER_BYTES;
  #count = 0;
  #lastDelta = -1;
  #baseTimestamp = 0;
  #maxTimestamp = 0;

  constructor(initialBytes = 16 * 1024) {
    this.#bytes = Buffer.allocUnsafe(Math.max(initialBytes, 2 * BATCH_HEADER_BYTES));
  }

  get count(): number {
    return this.#count;
  }

  /** Size that the batch would have if it were written now. */
  get size(): number {
    return this.#end;
  }

  /**
   * Appends a record. `offsetDelta` defaults to the next one; compaction passes larger ones to keep offsets. Timestamps
   * may go backwards.
   */
  add(key: Uint8Array | null, value: Uint8Array | null, timestamp: number, offsetDelta = this.#lastDelta + 1): void {
    if (this.#count === 0) {
      this.#baseTimestamp = timestamp;
      this.#maxTimestamp = timestamp;
    } else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
    const timestampDelta = timestamp - this.#baseTimestamp;
    const keyLength = key === null ? -1 : key.length;
    const valueLength = value === null ? -1 : value.length;
    const length =
      1 +
      varlongSize(timestampDelta) +
      varlongSize(offsetDelta) +
      varlongSize(keyLength) +
      Math.max(keyLength, 0) +
      varlongSize(valueLength) +
      Math.max(valueLength, 0) +
      1;
    this.#reserve(length + 5);
    const bytes = this.#bytes;
    let at = putVarlong(bytes, this.#end, length);
    bytes[at++] = 0;
    at = putVarlong(bytes, at, timestampDelta);
    at = putVarlong(bytes, at, offsetDelta);
    at = putVarlong(bytes, at, keyLength);
    if (key !== null) {
      bytes.set(key, at);
      at += keyLength;
    }
    at = putVarlong(bytes, at, valueLength);
    if (value !== null) {
      bytes.set(value, at);
      at += valueLength;
    }
    bytes[at++] = 0;
    this.#end = at;
    this.#count++;
    this.#lastDelta = offsetDelta;
  }

  /** The finished batch (a copy). With `logAppendTime` every record gets that time instead of its own. */
  finish(baseOffset: number, producer: ProducerStamp = NO_PRODUCER, logAppendTime: number | null = null): Buffer {
    return Buffer.from(this.seal(baseOffset, producer, logAppendTime));
  }

  /** The finished batch, not copied: valid until the next add or reset. May be called again with another stamp. */
  seal(baseOffset: number, producer: ProducerStamp = NO_PRODUCER, logAppendTime: number | null = null): Buffer {
    const out = this.#bytes.subarray(0, this.#end);
    writeInt64(out, baseOffset, OFFSET_BASE);
    out.writeInt32BE(this.#end - 12, OFFSET_LENGTH);
    out.writeInt32BE(-1, OFFSET_LEADER_EPOCH);
    out[OFFSET_MAGIC] = 2;
    const attributes =
      (logAppendTime === null ? 0 : TIMESTAMP_LOG_APPEND) | (producer.transactional ? TRANSACTIONAL : 0);
    out.writeInt16BE(attributes, OFFSET_ATTRIBUTES);
    out.writeInt32BE(this.#lastDelta, OFFSET_LAST_DELTA);
    writeInt64(out, this.#baseTimestamp, OFFSET_BASE_TIMESTAMP);
    writeInt64(out, logAppendTime ?? this.#maxTimestamp, OFFSET_MAX_TIMESTAMP);
    out.writeBigInt64BE(producer.producerId, OFFSET_PRODUCER_ID);
    out.writeInt16BE(producer.producerEpoch, OFFSET_PRODUCER_EPOCH);
    out.writeInt32BE(producer.baseSequence, OFFSET_BASE_SEQUENCE);
    out.writeInt32BE(this.#count, OFFSET_COUNT);
    out.writeUInt32BE(crc32c(out.subarray(OFFSET_ATTRIBUTES)), OFFSET_CRC);
    return out;
  }

  reset(): void {
    this.#end = BATCH_HEADER_BYTES;
    this.#count = 0;
    this.#lastDelta = -1;
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + more));
    this.#bytes.copy(bytes, 0, 0, this.#end);
    this.#bytes = bytes;
  }
}

function varlongSize(value: number): number {
  if (value >= -64 && value < 64) return 1;
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1;
  let size = 1;
  while (zigzag >= 128) {
    zigzag = Math.floor(zigzag / 128);
    size++;
  }
  return size;
}

function putVarlong(bytes: Buffer, at: number, value: number): number {
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1;
  if (zigzag < 128) {
    bytes[at] = zigzag;
    return at + 1;
  }
  let place = at;
  while (zigzag >= 128) {
    bytes[place++] = (zigzag % 128) | 0x80;
    zigzag = Math.floor(zigzag / 128);
  }
  bytes[place++] = zigzag;
  return place;
}
