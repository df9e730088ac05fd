/** Reads a segment file batch by batch, checking each, up to its end or the first byte that is not a sound batch. */
import { BATCH_SIZE_BYTES, batchBaseOffset, batchIsSound, batchNextOffset, batchSize } from './batch-header.js';
import type { Disk } from './disk.js';

/** Larger than any batch the log writes (a batch is closed at 256 KiB, one record may have 512 KiB). */
const CHUNK_BYTES = 1024 * 1024;
/** No length field above this is believed. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** Takes one batch, at bytes[at .. at + size); its place in the file is `position`. False ends the scan. */
type BatchVisitor = (bytes: Buffer, at: number, size: number, position: number) => boolean;

export interface Scanned {
  /** End of the last sound batch. */
  readonly end: number;
  /** Offset behind it; `baseOffset` if there is none. */
  readonly nextOffset: number;
}

/** Calls `visit` for every sound batch in a range of a segment file that holds offsets from `baseOffset` on. */
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
