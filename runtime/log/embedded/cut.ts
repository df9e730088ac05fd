/**
 * Makes a partition end at its last commit. What follows belongs either to the one commit that was being written when
 * the process died, which nobody was told of, or to commits whose notes were lost. The latter is moved aside first:
 * `lost/<incarnation>/<topic>/<partition>/<segment>@<position>`, as the bytes were.
 */
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { batchStamp } from './batch-header.js';
import type { Disk } from './disk.js';
import { refuseUnlisted } from './manifest.js';
import { scanBatches } from './scan.js';
import { Segment, segmentName } from './segment.js';
import type { Found } from './survey.js';
import { Partition } from './topic.js';
import type { BasePlace } from './transaction-log.js';

const COPY_BYTES = 1024 * 1024;

/** A piece of a segment's file that is not part of the log. */
interface Excess {
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

export interface Cut {
  readonly found: Found;
  /** Where the transaction log says that the partition ends; undefined if it does not know the partition. */
  readonly end: BasePlace | undefined;
  readonly kept: readonly Segment[];
  /** Size of the last of them, bytes. */
  readonly size: number;
  readonly excess: readonly Excess[];
  /** The newest commit with an intact batch in the excess; 0 if there is none. */
  readonly newestCommit: number;
}

/**
 * Decides what to cut, and changes nothing. Throws FreshetError('invalid_data') where records would go that the
 * transaction log, whose last commit is `commit`, must know: then the files do not belong together.
 */
export async function planCut(disk: Disk, found: Found, end: BasePlace | undefined, commit: number): Promise<Cut> {
  const folder = found.topic.partitionFolder(found.partition);
  const nextOffset = end?.nextOffset ?? 0;
  if (found.segments.length === 0 && nextOffset === 0)
    return { found, end, kept: [], size: 0, excess: [], newestCommit: 0 };
  const kept = found.segments.filter((segment) => segment.baseOffset <= nextOffset);
  const active = kept.at(-1);
  // The segment that contains the end, unless a new one had started right after it.
  const holdsEnd = active?.baseOffset === (end?.segment ?? 0);
  if (active === undefined || !(holdsEnd || active.baseOffset === nextOffset))
    throw new FreshetError(
      'invalid_data',
      `${folder}: the segment ${segmentName(end?.segment ?? 0)}, which contains the end of the partition (offset ${nextOffset}), ` +
        'is missing. Restore it from a backup, or move the data folder away and start with an empty one.',
    );
  const size = holdsEnd ? (end?.position ?? 0) : 0;
  const intact = found.scans.get(active)?.end ?? size;
  if (intact < size) throw active.damaged(intact);
  const excess = [{ segment: active, from: size }, ...found.segments.slice(kept.length).map(whole)];
  refuseUnlisted(folder, kept.slice(0, -1), found.unlisted, (segment) => found.scans.has(segment));
  const sized = await Promise.all(excess.map(async (one) => ({ ...one, to: await sizeOf(disk, one.segment) })));
  const { oldest, newest } = await commitsIn(disk, sized, nextOffset);
  if (oldest <= commit)
    throw new FreshetError(
      'invalid_data',
      `${folder} has records of commit ${oldest} after offset ${nextOffset}, where it ends according to the transaction log, ` +
        `which knows all commits up to ${commit}. The files do not belong together: nothing was changed. ` +
        'Restore the data folder from a backup, or move it away and start with an empty one.',
    );
  return { found, end, kept, size, excess: sized.filter(({ from, to }) => to > from), newestCommit: newest };
}

const whole = (segment: Segment) => ({ segment, from: 0 });

/** Oldest (Infinity) and newest (0) commit of the intact batches. Compacted ones were on disk before they counted. */
async function commitsIn(
  disk: Disk,
  pieces: readonly Excess[],
  nextOffset: number,
): Promise<{ oldest: number; newest: number }> {
  let oldest = Number.POSITIVE_INFINITY;
  let newest = 0;
  for (const { segment, from, to } of pieces)
    await withFile(segment, (fd) =>
      scanBatches(disk, fd, { from, to }, Math.max(segment.baseOffset, nextOffset), (bytes, at) => {
        const { compacted, value } = batchStamp(bytes, at);
        oldest = Math.min(oldest, compacted ? 0 : value);
        newest = Math.max(newest, compacted ? 0 : value);
        return true;
      }),
    );
  return { oldest, newest };
}

/** Copies what will be cut into a folder, on disk when the promise resolves. */
export async function saveExcess(disk: Disk, { found, excess }: Cut, lostFolder: string): Promise<void> {
  if (excess.length === 0) return;
  const folder = `${lostFolder}/${found.topic.name}/${found.partition}`;
  await disk.makeFolder(folder);
  for (const { segment, from, to } of excess)
    await withFile(segment, async (source) => {
      const target = await disk.open(`${folder}/${segmentName(segment.baseOffset)}@${from}`, 'w+');
      try {
        const buffer = Buffer.alloc(Math.min(COPY_BYTES, to - from));
        for (let at = from; at < to; at += buffer.length) {
          const have = await disk.read(source, buffer, Math.min(buffer.length, to - at), at);
          await disk.write(target, [buffer.subarray(0, have)], at - from);
        }
        await disk.sync(target);
      } finally {
        await disk.close(target);
      }
    });
  await disk.syncFolder(folder);
}

/** Carries out a cut; returns the partition and the bytes that went. */
export async function cutPartition(
  disk: Disk,
  { found, end, kept, size, excess }: Cut,
  logger: Logger,
): Promise<{ partition: Partition; bytes: number }> {
  const { topic, partition, scans } = found;
  const nextOffset = end?.nextOffset ?? 0;
  const active = kept.at(-1) ?? (await firstSegment(disk, topic.partitionFolder(partition)));
  for (const segment of found.segments.slice(kept.length).reverse()) {
    await segment.retire();
    await segment.remove();
  }
  const scan = scans.get(active);
  if (excess.some(({ segment }) => segment === active)) await truncate(disk, active, size);
  if (scan === undefined || scan.end !== size) {
    const again = await active.scan(size, scan?.modifiedMs ?? 0);
    if (again.end !== size) throw active.damaged(again.end);
  }
  const bytes = excess.reduce((sum, { from, to }) => sum + to - from, 0);
  if (bytes > 0) {
    await active.removeIndex();
    await disk.syncFolder(topic.partitionFolder(partition));
    logger.info(
      { event: 'log_tail_cut', topic: topic.name, partition, bytes, offset: nextOffset },
      `${topic.name}[${partition}]: ${bytes} bytes after the last commit were cut off`,
    );
  }
  if (end !== undefined && active.baseOffset === end.segment && size > 0) {
    active.facts.firstAppendMs = end.firstAppendMs;
    active.facts.lastAppendMs = end.lastAppendMs;
  }
  const start = Math.min(found.start, nextOffset);
  const segments = kept.length > 0 ? [...kept] : [active];
  const made = new Partition(disk, topic, partition, segments, start, nextOffset);
  made.appendTimeMs = topic.config.logAppendTime ? await latestTimestamp(segments) : 0;
  return { partition: made, bytes };
}

async function firstSegment(disk: Disk, folder: string): Promise<Segment> {
  await disk.makeFolder(folder);
  const segment = new Segment(disk, folder, 0);
  await disk.close(await disk.open(segment.path, 'w+'));
  return segment;
}

function sizeOf(disk: Disk, segment: Segment): Promise<number> {
  return withFile(segment, async (fd) => (await disk.stat(fd)).size);
}

function truncate(disk: Disk, segment: Segment, size: number): Promise<void> {
  return withFile(segment, async (fd) => {
    await disk.truncate(fd, size);
    await disk.sync(fd);
  });
}

/** Syncs a segment, unless it was cut. */
export async function syncSegment(disk: Disk, segment: Segment): Promise<void> {
  if (!segment.retired) await withFile(segment, (fd) => disk.sync(fd));
}

async function withFile<T>(segment: Segment, work: (fd: number) => Promise<T>): Promise<T> {
  const fd = await segment.acquire();
  if (fd === null) throw new FreshetError('internal', `${segment.path} was replaced while the log was opened`);
  try {
    return await work(fd);
  } finally {
    await segment.release();
  }
}

/** Largest record timestamp of the last segment that has records. */
async function latestTimestamp(segments: readonly Segment[]): Promise<number> {
  for (const segment of [...segments].reverse()) {
    const index = await segment.load();
    if (index !== null && index.size > 0) return Math.max(0, index.maxTimestamp);
  }
  return 0;
}
