/** Reads a segment file batch by batch and checks each, up to the end or the first byte that is not an intact batch. */
import { BATCH_SIZE_BYTES, batchBaseOffset, batchIsSound, batchNextOffset, batchSize } from './batch-header.js';
import type { Disk } from './disk.js';

/** Larger than any batch the log writes (a batch is closed at 256 KiB, one record may have 512 KiB). */
const CHUNK_BYTES = 1024 * 1024;
/** A larger length field is not believed. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** Gets one batch, bytes[at .. at + size); `position` is its place in the file. Returning false ends the scan. */
type BatchVisitor = (bytes: Buffer, at: number, size: number, position: number) => boolean;

export interface Scanned {
  /** End of the last intact batch. */
  readonly end: number;
  /** Offset after it; `baseOffset` if there is none. */
  readonly nextOffset: number;
}

/** Calls `visit` for every intact batch in a range of a segment file whose offsets start at `baseOffset`. */
export async function scanBatches(
  disk: Disk,
  fd: number,
  range: { readonly from: number; readonly to: number },
  baseOffset: number,
  visit: BatchVisitor,
  betweenChunks?: () => Promise<void>,
): Promise<Scanned> {
  const size = range.to;
  let position = range.from;
  let bytes = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - position));
  let nextOffset = baseOffset;
  while (size - position >= BATCH_SIZE_BYTES) {
    const have = await disk.read(fd, bytes, Math.min(bytes.length, size - position), position);
    let at = 0;
    let needed = BATCH_SIZE_BYTES;
    while (have - at >= BATCH_SIZE_BYTES) {
      needed = batchSize(bytes, at);
      if (needed > have - at) break;
      if (!batchIsSound(bytes, at, needed) || batchBaseOffset(bytes, at) < nextOffset)
        return { end: position + at, nextOffset };
      nextOffset = batchNextOffset(bytes, at);
      const goOn = visit(bytes, at, needed, position + at);
      at += needed;
      if (!goOn) return { end: position + at, nextOffset };
    }
    position += at;
    await betweenChunks?.();
    if (at === 0) {
      if (needed <= bytes.length || needed > size - position || needed > BATCH_BYTES_MAX) break;
      bytes = Buffer.allocUnsafe(needed);
    }
  }
  return { end: position, nextOffset };
}
