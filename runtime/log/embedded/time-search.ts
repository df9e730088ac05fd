/** Finds the first record, in log order, that is not older than a time. Timestamps need not rise with offsets. */
import { walkBatches } from '../record-batch.js';
import { batchMaxTimestamp } from './batch-header.js';
import type { Disk } from './disk.js';
import { scanBatches } from './scan.js';
import type { Segment } from './segment.js';
import type { Partition } from './topic.js';

/** Null if every record is older. */
export async function findOffsetForTime(disk: Disk, partition: Partition, ms: number): Promise<number | null> {
  for (let offset = partition.start; offset < partition.nextOffset; ) {
    partition.checkAlive();
    const at = partition.segmentAt(offset);
    const segment = partition.segments[at]!;
    const endOffset = partition.segments[at + 1]?.baseOffset ?? partition.nextOffset;
    const index = await segment.load();
    // Null: it was replaced meanwhile; look it up again.
    if (index === null) continue;
    if (index.maxTimestamp >= ms) {
      const found = await searchSegment(disk, partition, segment, offset, ms);
      if (found === 'replaced') continue;
      if (found !== null) return found;
    }
    offset = endOffset;
  }
  return null;
}

async function searchSegment(
  disk: Disk,
  partition: Partition,
  segment: Segment,
  fromOffset: number,
  ms: number,
): Promise<number | null | 'replaced'> {
  const fd = await segment.acquire();
  if (fd === null) return 'replaced';
  try {
    const { size } = segment;
    const from = segment.index.positionForTime(ms);
    let found: number | null = null;
    await scanBatches(disk, fd, { from, to: size }, segment.baseOffset, (bytes, at, length) => {
      if (batchMaxTimestamp(bytes, at) < ms) return true;
      const [columns] = walkBatches(bytes, at, at + length, {
        topic: partition.topic.name,
        partition: partition.partition,
        fromOffset,
        untilOffset: Number.POSITIVE_INFINITY,
        aborted: null,
        decompress: (_codec, plain) => plain,
        checkCrc: false,
      });
      const row = columns!.timestamps.subarray(0, columns!.count).findIndex((timestamp) => timestamp >= ms);
      if (row === -1) return true;
      found = columns!.offsets[row]!;
      return false;
    });
    return found;
  } finally {
    await segment.release();
  }
}
