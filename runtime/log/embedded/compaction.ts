/**
 * Compaction of one partition: only the newest value of each key stays, and offsets do not change. It works on closed
 * segments only. A pass notes the newest offset of every key in the segments not compacted yet, then rewrites all
 * closed segments without the records that those keys have replaced, joining small segments. Only that table is held in
 * memory, and it is bounded; the remaining segments wait for the next pass.
 *
 * A tombstone may be removed delete.retention.ms after the first pass that saw it, not after its own time: only that
 * pass removes the values it deletes, and a reader that read one of them just before must still find the tombstone. The
 * removal time is kept in the header of the tombstone's batch.
 */
import type { RecordColumns } from '../log.js';
import { NO_PRODUCER, RecordBatchBuilder, walkBatches } from '../record-batch.js';
import { batchMaxTimestamp, batchStamp, COMPACTED_EPOCH } from './batch-header.js';
import type { Disk } from './disk.js';
import { KeyOffsets } from './key-offsets.js';
import { writeManifest } from './manifest.js';
import { scanBatches } from './scan.js';
import { Segment } from './segment.js';
import { SegmentIndex } from './segment-index.js';
import { beginSwap, finishSwaps, unfinishedPath } from './swap.js';
import type { Partition } from './topic.js';

/** A pass adds no more segments to its table of keys above this size. */
const TABLE_BYTES_MAX = 64 * 1024 * 1024;
const BATCH_BYTES_MAX = 256 * 1024;
/** Offsets within a batch are 32-bit numbers relative to its first offset. */
const BATCH_OFFSETS_MAX = 2 ** 30;
const NEVER = Number.POSITIVE_INFINITY;

interface Compacted {
  readonly recordsBefore: number;
  readonly recordsAfter: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Compacts what is due at `now` and is on disk (`durableCommit`). Null if nothing was due. Must not run twice at the
 * same time on one partition.
 */
export async function compactPartition(
  disk: Disk,
  partition: Partition,
  now: number,
  durableCommit: number,
): Promise<Compacted | null> {
  if (partition.swapUnfinished) await completeSwap(disk, partition, durableCommit);
  const closed = await closedSegments(partition, durableCommit);
  const dirtyFrom = closed.findIndex((segment) => !segment.facts.compacted);
  const dirty = dirtyFrom === -1 ? [] : closed.slice(dirtyFrom).filter((segment) => isFree(partition, segment));
  const clean = dirtyFrom === -1 ? closed : closed.slice(0, dirtyFrom);
  const tombstonesDue = clean.some((segment) => segment.facts.tombstonesMs <= now);
  if (!tombstonesDue && !isDue(clean, dirty, partition, now)) return null;
  const lastFree = dirty.at(-1);
  if (lastFree !== undefined) partition.compactedTo = Math.max(partition.compactedTo, partition.endOf(lastFree));
  const keys = new KeyOffsets();
  let taken = 0;
  while (taken < dirty.length && (taken === 0 || keys.bytes < TABLE_BYTES_MAX))
    await noteKeys(disk, dirty[taken++]!, partition, keys);
  const pass: Pass = { disk, partition, keys, now, durableCommit, recordsBefore: 0, recordsAfter: 0 };
  let bytesBefore = 0;
  let bytesAfter = 0;
  for (const group of groups([...clean, ...dirty.slice(0, taken)], partition.topic.limits.segmentBytes)) {
    bytesBefore += group.reduce((sum, segment) => sum + segment.size, 0);
    bytesAfter += await compactGroup(pass, group);
  }
  return { recordsBefore: pass.recordsBefore, recordsAfter: pass.recordsAfter, bytesBefore, bytesAfter };
}

/** Values that records below this offset have replaced may be gone. */
export async function compactedTo(partition: Partition): Promise<number> {
  let end = partition.compactedTo;
  for (const segment of partition.segments.slice(0, -1)) {
    if ((await segment.load()) === null || !segment.facts.compacted) break;
    end = Math.max(end, partition.endOf(segment));
  }
  return end;
}

/** Closed segments that a crash can no longer affect, with their indexes loaded. */
export async function closedSegments(partition: Partition, durableCommit: number): Promise<Segment[]> {
  const closed: Segment[] = [];
  for (const segment of partition.segments.slice(0, -1)) {
    if (segment.lastCommit > durableCommit) break;
    await segment.load();
    closed.push(segment);
  }
  return closed;
}

/** No reader needs a value that a record of this segment replaces. */
function isFree(partition: Partition, segment: Segment): boolean {
  const end = partition.endOf(segment);
  for (const { until } of partition.holds) if (end > until) return false;
  return true;
}

function isDue(clean: readonly Segment[], dirty: readonly Segment[], partition: Partition, now: number): boolean {
  if (dirty.length === 0) return false;
  const { dirtyRatioMin, compactionLagMsMax } = partition.topic.limits;
  if (now - dirty[0]!.facts.firstAppendMs >= compactionLagMsMax) return true;
  const bytes = (segments: readonly Segment[]) => segments.reduce((sum, segment) => sum + segment.size, 0);
  const dirtyBytes = bytes(dirty);
  return dirtyBytes >= dirtyRatioMin * (bytes(clean) + dirtyBytes);
}

/** Groups of neighbouring segments that together are no larger than one segment. */
function groups(segments: readonly Segment[], segmentBytes: number): Segment[][] {
  const made: Segment[][] = [];
  let bytes = 0;
  for (const segment of segments) {
    const last = made.at(-1);
    if (last !== undefined && bytes + segment.size <= segmentBytes) {
      last.push(segment);
      bytes += segment.size;
    } else {
      made.push([segment]);
      bytes = segment.size;
    }
  }
  return made;
}

interface Pass {
  readonly disk: Disk;
  readonly partition: Partition;
  readonly keys: KeyOffsets;
  readonly now: number;
  readonly durableCommit: number;
  recordsBefore: number;
  recordsAfter: number;
}

/** Reads a segment batch by batch; between two chunks it calls `pause` and yields to the event loop. */
async function readBatches(
  disk: Disk,
  segment: Segment,
  partition: Partition,
  take: (columns: RecordColumns, tombstonesMs: number | null) => void,
  pause?: () => Promise<void>,
): Promise<void> {
  const fd = await segment.acquire();
  if (fd === null) return;
  try {
    const visit = (bytes: Buffer, at: number, size: number) => {
      const stamp = batchStamp(bytes, at);
      const [columns] = walkBatches(bytes, at, at + size, {
        topic: partition.topic.name,
        partition: partition.partition,
        fromOffset: 0,
        untilOffset: NEVER,
        aborted: null,
        decompress: (_codec, plain) => plain,
        checkCrc: false,
      });
      take(columns!, stamp.compacted && stamp.value >= 0 ? stamp.value : null);
      return true;
    };
    const { end } = await scanBatches(disk, fd, { from: 0, to: segment.size }, segment.baseOffset, visit, pause);
    if (end !== segment.size) throw segment.damaged(end);
  } finally {
    await segment.release();
  }
}

async function noteKeys(disk: Disk, segment: Segment, partition: Partition, keys: KeyOffsets): Promise<void> {
  await readBatches(disk, segment, partition, ({ count, bytes, keyStart, keyEnd, offsets }) => {
    for (let i = 0; i < count; i++) if (keyStart[i] !== -1) keys.set(bytes, keyStart[i]!, keyEnd[i]!, offsets[i]!);
  });
}

/** Rewrites a group of segments and replaces it with the result. Returns the size of the result. */
async function compactGroup(pass: Pass, group: readonly Segment[]): Promise<number> {
  const { disk, partition } = pass;
  const { folder } = partition;
  const { baseOffset } = group[0]!;
  const last = group.at(-1)!;
  const endOffset = partition.endOf(last);
  const fd = await disk.open(unfinishedPath(folder, baseOffset), 'w+');
  const made = new Segment(disk, folder, baseOffset);
  made.hold(fd);
  let finished = false;
  try {
    const written = new CompactedFile(disk, fd);
    for (const segment of group) await copyNewest(pass, segment, written);
    await written.finish();
    made.adopt(written.index, {
      firstAppendMs: Math.min(...group.map((segment) => segment.facts.firstAppendMs)),
      lastAppendMs: Math.max(...group.map((segment) => segment.facts.lastAppendMs)),
      compacted: true,
      tombstonesMs: written.tombstonesMs,
    });
    await beginSwap(disk, folder, baseOffset, endOffset);
    // From here on the new file counts. It is read through the held descriptor until it has its final name.
    partition.replace(group, made);
    partition.swapUnfinished = true;
    for (const segment of group) await segment.retire();
    await completeSwap(disk, partition, pass.durableCommit);
    finished = true;
  } finally {
    // After an unfinished swap, the descriptor is the only way to the file.
    if (finished || !partition.swapUnfinished) await made.release();
  }
  await made.saveIndex();
  return made.size;
}

/** Lists the new file before the old ones go: while the swap is under way, opening the log accepts both lists. */
async function completeSwap(disk: Disk, partition: Partition, durableCommit: number): Promise<void> {
  await writeManifest(disk, partition, durableCommit);
  await finishSwaps(disk, partition.folder);
  partition.swapUnfinished = false;
}

/** Copies the records of a segment that no newer record has replaced. */
async function copyNewest(pass: Pass, segment: Segment, into: CompactedFile): Promise<void> {
  const { disk, partition, keys, now } = pass;
  const firstSeen = now + partition.topic.limits.tombstonesMs;
  const copy = (columns: RecordColumns, tombstonesMs: number | null) => {
    const { count, bytes, keyStart, keyEnd, valueStart, offsets, timestamps } = columns;
    pass.recordsBefore += count;
    for (let i = 0; i < count; i++) {
      const offset = offsets[i]!;
      if (keyStart[i] !== -1 && keys.get(bytes, keyStart[i]!, keyEnd[i]!) > offset) continue;
      const isTombstone = valueStart[i] === -1;
      const goesMs = isTombstone ? (tombstonesMs ?? firstSeen) : null;
      // A tombstone seen for the first time stays for at least this pass, even with a retention of 0.
      if (goesMs !== null && tombstonesMs !== null && goesMs <= now) continue;
      into.add(columns, i, offset, timestamps[i]!, goesMs);
      pass.recordsAfter++;
    }
  };
  await readBatches(disk, segment, partition, copy, () => into.flush());
}

/** The file that a compaction writes: batches keep offsets and times; tombstones in one share a removal time. */
class CompactedFile {
  readonly #disk: Disk;
  readonly fd: number;
  readonly index = new SegmentIndex();
  tombstonesMs = NEVER;
  readonly #builder = new RecordBatchBuilder(64 * 1024);
  #baseOffset = 0;
  #goesMs: number | null = null;
  #chunks: Buffer[] = [];
  #written = 0;

  constructor(disk: Disk, fd: number) {
    this.#disk = disk;
    this.fd = fd;
  }

  add(columns: RecordColumns, row: number, offset: number, timestamp: number, goesMs: number | null): void {
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = columns;
    const full = this.#builder.size >= BATCH_BYTES_MAX || offset - this.#baseOffset > BATCH_OFFSETS_MAX;
    const otherTime = goesMs !== null && this.#goesMs !== null && goesMs !== this.#goesMs;
    if (this.#builder.count > 0 && (full || otherTime)) this.#endBatch();
    if (this.#builder.count === 0) this.#baseOffset = offset;
    if (goesMs !== null) this.#goesMs = goesMs;
    const key = keyStart[row] === -1 ? null : bytes.subarray(keyStart[row]!, keyEnd[row]!);
    const value = valueStart[row] === -1 ? null : bytes.subarray(valueStart[row]!, valueEnd[row]!);
    this.#builder.add(key, value, timestamp, offset - this.#baseOffset);
  }

  #endBatch(): void {
    const stamp = { ...NO_PRODUCER, producerId: BigInt(this.#goesMs ?? -1), producerEpoch: COMPACTED_EPOCH };
    const bytes = this.#builder.finish(this.#baseOffset, stamp);
    this.index.add(this.#baseOffset, bytes.length, batchMaxTimestamp(bytes, 0));
    if (this.#goesMs !== null) this.tombstonesMs = Math.min(this.tombstonesMs, this.#goesMs);
    this.#chunks.push(bytes);
    this.#builder.reset();
    this.#goesMs = null;
  }

  /** Writes the finished batches. */
  async flush(): Promise<void> {
    const chunks = this.#chunks;
    this.#chunks = [];
    await this.#disk.write(this.fd, chunks, this.#written);
    for (const chunk of chunks) this.#written += chunk.length;
  }

  /** Writes the rest and syncs everything to disk. */
  async finish(): Promise<void> {
    if (this.#builder.count > 0) this.#endBatch();
    await this.flush();
    await this.#disk.sync(this.fd);
  }
}
