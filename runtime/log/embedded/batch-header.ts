/** The fields of a record batch header the embedded log steers by (runtime/log/record-batch.ts holds the whole layout). */
import { crc32c } from '@node-rs/crc32';
import { readInt64 } from '../../process/int64.js';
import { BATCH_HEADER_BYTES } from '../record-batch.js';

/** Bytes needed to tell how long a batch is. */
export const BATCH_SIZE_BYTES = 12;

/** Whole size of the batch that begins at `at`. */
export function batchSize(bytes: Buffer, at: number): number {
  return BATCH_SIZE_BYTES + bytes.readInt32BE(at + 8);
}

export function batchBaseOffset(bytes: Buffer, at: number): number {
  return readInt64(bytes, at);
}

/** The offset behind the batch's last record. */
export function batchNextOffset(bytes: Buffer, at: number): number {
  return readInt64(bytes, at) + bytes.readInt32BE(at + 23) + 1;
}

export function batchMaxTimestamp(bytes: Buffer, at: number): number {
  return readInt64(bytes, at + 35);
}

/**
 * What the log keeps in the producer fields: batches as they were committed carry the number of their commit with
 * epoch -1; batches written by compaction carry epoch 0 and the time from which their tombstones may go (-1: none).
 */
export function batchStamp(bytes: Buffer, at: number): { compacted: boolean; value: number } {
  return { compacted: bytes.readInt16BE(at + 51) === COMPACTED_EPOCH, value: readInt64(bytes, at + 43) };
}

export const COMMITTED_EPOCH = -1;
export const COMPACTED_EPOCH = 0;

/** True if `size` bytes at `at` are one batch of our format whose checksum is right. */
export function batchIsSound(bytes: Buffer, at: number, size: number): boolean {
  if (size < BATCH_HEADER_BYTES || bytes[at + 16] !== 2) return false;
  return crc32c(bytes.subarray(at + 21, at + size)) === bytes.readUInt32BE(at + 17);
}

/** End of the last complete batch in bytes[0..end). */
export function completeBatchesEnd(bytes: Buffer, end: number): number {
  let at = 0;
  while (end - at >= BATCH_SIZE_BYTES) {
    const size = batchSize(bytes, at);
    if (size < BATCH_HEADER_BYTES || size > end - at) break;
    at += size;
  }
  return at;
}
