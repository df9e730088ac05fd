/** The fields of a record batch header that the embedded log uses (whole layout: runtime/log/record-batch.ts). */
import { crc32c } from '@node-rs/crc32';
import { readInt64 } from '../../process/int64.js';
import { BATCH_HEADER_BYTES } from '../record-batch.js';

/** Bytes needed to know the length of a batch. */
export const BATCH_SIZE_BYTES = 12;

/** Total size of the batch that starts at `at`. */
export function batchSize(bytes: Buffer, at: number): number {
  return BATCH_SIZE_BYTES + bytes.readInt32BE(at + 8);
}

export function batchBaseOffset(bytes: Buffer, at: number): number {
  return readInt64(bytes, at);
}

/** The offset after the batch's last record. */
export function batchNextOffset(bytes: Buffer, at: number): number {
  return readInt64(bytes, at) + bytes.readInt32BE(at + 23) + 1;
}

export function batchMaxTimestamp(bytes: Buffer, at: number): number {
  return readInt64(bytes, at + 35);
}

/**
 * The embedded log's use of the producer fields: a batch as it was committed has the number of its commit, and epoch
 * -1; a batch written by compaction has epoch 0 and the time from which its tombstones may be removed (-1: none).
 */
export function batchStamp(bytes: Buffer, at: number): { compacted: boolean; value: number } {
  return { compacted: bytes.readInt16BE(at + 51) === COMPACTED_EPOCH, value: readInt64(bytes, at + 43) };
}

export const COMMITTED_EPOCH = -1;
export const COMPACTED_EPOCH = 0;

/** True if the `size` bytes at `at` are one batch in our format with a correct checksum. */
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
