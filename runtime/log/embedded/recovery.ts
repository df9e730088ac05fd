/**
 * Opening turns what a dead process left behind into a log that ends with a whole commit. All commits up to some number
 * stay; everything after it is cut off in all partitions, so no transaction is there in part.
 *
 * After a killed process the page cache has everything written, in order: only the one commit without a note is cut.
 * After a power loss the disk may lack any part of the last second: then the end is the last commit that is complete in
 * all its partitions, as are all before it. What a durable mark declared safe must be there, or opening stops.
 */
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { TopicConfig } from '../log.js';
import { type Disk, readJson, replaceFile, UNFINISHED_SUFFIX } from './disk.js';
import { INDEX_SUFFIX, SEGMENT_SUFFIX, Segment, segmentName } from './segment.js';
import { finishSwaps } from './swap.js';
import { Partition, START_FILE, TOPIC_FILE, Topic } from './topic.js';
import { checkTopicConfig } from './topic-config.js';
import {
  type BasePlace,
  decodeTransactionLog,
  type Place,
  type TransactionLog,
  type TransactionLogContents,
} from './transaction-log.js';

export const TOPICS_FOLDER = 'topics';
/** Prefix of folders of topics that are half created or half deleted; no topic name can start with it. */
export const UNFINISHED_PREFIX = '~';
const FORMAT_FILE = 'format.json';
const FORMAT = 1;

interface Recovered {
  readonly topics: Topic[];
  /** Number of the last commit. */
  readonly commit: number;
  /** The transaction log must be rewritten before anything is written: bytes were cut, or notes are left. */
  readonly stale: boolean;
}

/** The contents of a partition's folder, before anything is decided. */
interface Found {
  readonly topic: Topic;
  readonly partition: number;
  readonly segments: Segment[];
  readonly scans: ReadonlyMap<Segment, Scan>;
  readonly start: number;
}

interface Scan {
  readonly fileSize: number;
  readonly modifiedMs: number;
  /** End of the last intact batch. */
  readonly end: number;
  /** End of a batch → its commit, for commits that may not be complete. */
  readonly commitAt: ReadonlyMap<number, number>;
}

const placeKey = (topicId: number, partition: number) => `${topicId}/${partition}`;

/** Reads the transaction log and all topics, and cuts off what was never committed. */
export async function recover(
  disk: Disk,
  folder: string,
  transactionLog: TransactionLog,
  defaults: Readonly<Record<string, string>>,
  logger: Logger,
): Promise<Recovered> {
  await disk.makeFolder(`${folder}/${TOPICS_FOLDER}`);
  await checkFormat(disk, folder);
  const topics = await findTopics(disk, folder, defaults);
  const bytes = await transactionLog.read();
  if (bytes === null && topics.length > 0) throw unreadable(folder, 'is missing');
  if (bytes === null) return { topics, commit: 0, stale: true };
  const contents = decodeTransactionLog(bytes);
  if (contents === null) throw unreadable(folder, 'cannot be read');

  const unsafe = contents.notes.filter((note) => note.commit > contents.durableCommit);
  const touched = new Map<string, Place[]>();
  for (const note of unsafe)
    for (const place of note.places) {
      const key = placeKey(place.topicId, place.partition);
      const places = touched.get(key);
      if (places) places.push(place);
      else touched.set(key, [place]);
    }
  const found = new Map<string, Found>();
  for (const topic of topics) {
    const parts = await Promise.all(
      Array.from({ length: topic.config.partitions }, (_, partition) =>
        findPartition(disk, topic, partition, touched.get(placeKey(topic.id, partition)) ?? [], contents.durableCommit),
      ),
    );
    for (const part of parts) found.set(placeKey(topic.id, part.partition), part);
  }

  const commit = lastWholeCommit(contents, found);
  const lost = contents.notes.reduce((sum, note) => sum + (note.commit > commit ? 1 : 0), 0);
  if (lost > 0)
    logger.warn(
      { event: 'log_commits_lost', commits: lost },
      `The last ${lost} commits had not reached the disk when the machine stopped; the log ends before them`,
    );
  const ends = endsAt(contents, commit);
  let cutBytes = 0;
  for (const topic of topics) {
    const partitions: Partition[] = [];
    for (let partition = 0; partition < topic.config.partitions; partition++) {
      const key = placeKey(topic.id, partition);
      const part = found.get(key)!;
      const cut = await cutPartition(disk, part, ends.get(key), logger);
      // The new transaction log will declare it safe.
      if (touched.has(key)) for (const segment of part.scans.keys()) await syncSegment(disk, segment);
      cutBytes += cut.bytes;
      partitions.push(cut.partition);
    }
    topic.partitions = partitions;
  }
  const stale = cutBytes > 0 || contents.notes.length > 0 || contents.end !== bytes.length;
  return { topics, commit, stale };
}

function unreadable(folder: string, what: string): FreshetError {
  return new FreshetError(
    'invalid_data',
    `${folder}/transactions ${what}, so it is unknown which records were committed. Restore the folder from a ` +
      'backup, or move it away and start with an empty one.',
  );
}

async function checkFormat(disk: Disk, folder: string): Promise<void> {
  const path = `${folder}/${FORMAT_FILE}`;
  const found = await readJson<{ format?: unknown }>(disk, path);
  if (found === null) return replaceFile(disk, path, Buffer.from(`${JSON.stringify({ format: FORMAT })}\n`), true);
  if (found.format === FORMAT) return;
  const { format } = found;
  throw new FreshetError(
    'invalid_data',
    `${folder} contains a log of format ${JSON.stringify(format)}; this version reads ${FORMAT}. Use the version that wrote it.`,
  );
}

async function findTopics(disk: Disk, folder: string, defaults: Readonly<Record<string, string>>): Promise<Topic[]> {
  const topics: Topic[] = [];
  for (const name of await disk.listFolders(`${folder}/${TOPICS_FOLDER}`)) {
    const path = `${folder}/${TOPICS_FOLDER}/${name}`;
    if (name.startsWith(UNFINISHED_PREFIX)) {
      await disk.removeFolder(path);
      continue;
    }
    const saved = await readJson<{ id: number; config: TopicConfig }>(disk, `${path}/${TOPIC_FILE}`);
    if (saved === null) throw new FreshetError('invalid_data', `${path} is not a topic: ${TOPIC_FILE} is missing`);
    const { id, config } = saved;
    checkTopicConfig(config);
    topics.push(new Topic(id, config, path, defaults));
  }
  return topics;
}

/** Lists a partition's segments and scans those not declared safe by the transaction log: the last, and those in `places`. */
async function findPartition(
  disk: Disk,
  topic: Topic,
  partition: number,
  places: readonly Place[],
  durableCommit: number,
): Promise<Found> {
  const folder = topic.partitionFolder(partition);
  await finishSwaps(disk, folder);
  const names = await disk.list(folder);
  for (const name of names) {
    const isOrphan =
      name.endsWith(INDEX_SUFFIX) && !names.includes(name.slice(0, -INDEX_SUFFIX.length) + SEGMENT_SUFFIX);
    if (isOrphan || name.endsWith(UNFINISHED_SUFFIX)) await disk.remove(`${folder}/${name}`);
  }
  const segments = names
    .filter((name) => name.endsWith(SEGMENT_SUFFIX))
    .sort()
    .map((name) => new Segment(disk, folder, Number(name.slice(0, -SEGMENT_SUFFIX.length))));
  if (segments.length === 0) segments.push(await firstSegment(disk, folder));
  const scans = new Map<Segment, Scan>();
  for (const [i, segment] of segments.entries())
    if (i === segments.length - 1 || places.some((place) => place.segment === segment.baseOffset))
      scans.set(segment, await scanSegment(disk, segment, durableCommit));
  const saved = await readJson<{ start: number }>(disk, `${folder}/${START_FILE}`);
  return { topic, partition, segments, scans, start: saved?.start ?? 0 };
}

/** Creating a topic does not wait until the names of its empty segments are on disk. */
async function firstSegment(disk: Disk, folder: string): Promise<Segment> {
  await disk.makeFolder(folder);
  const segment = new Segment(disk, folder, 0);
  await disk.close(await disk.open(segment.path, 'w+'));
  return segment;
}

async function scanSegment(disk: Disk, segment: Segment, durableCommit: number): Promise<Scan> {
  const fd = await segment.acquire();
  if (fd === null) throw new FreshetError('internal', `${segment.path} was replaced while the log was opened`);
  try {
    const { size, modifiedMs } = await disk.stat(fd);
    const commitAt = new Map<number, number>();
    const { end } = await segment.scan(size, modifiedMs, (commit, batchEnd) => {
      if (commit > durableCommit) commitAt.set(batchEnd, commit);
    });
    return { fileSize: size, modifiedMs, end, commitAt };
  } finally {
    await segment.release();
  }
}

/** The last commit that is complete in all its partitions, as are all before it. */
function lastWholeCommit(contents: TransactionLogContents, found: ReadonlyMap<string, Found>): number {
  let whole = contents.durableCommit;
  for (const note of contents.notes) {
    if (note.commit <= contents.durableCommit) continue;
    for (const place of note.places) {
      const part = found.get(placeKey(place.topicId, place.partition));
      // The topic has been deleted since, so nothing of it can be missing.
      if (part === undefined) continue;
      const segment = part.segments.find((candidate) => candidate.baseOffset === place.segment);
      if ((segment && part.scans.get(segment))?.commitAt.get(place.position) !== note.commit) return whole;
    }
    whole = note.commit;
  }
  return whole;
}

/** Where each partition ends with `commit`. */
function endsAt(contents: TransactionLogContents, commit: number): Map<string, BasePlace> {
  const ends = new Map<string, BasePlace>();
  for (const place of contents.base) ends.set(placeKey(place.topicId, place.partition), place);
  for (const note of contents.notes) {
    if (note.commit > commit) break;
    for (const place of note.places) {
      const key = placeKey(place.topicId, place.partition);
      const before = ends.get(key);
      const continues = before?.segment === place.segment && before.position > 0;
      ends.set(key, {
        ...place,
        firstAppendMs: continues ? before.firstAppendMs : note.timeMs,
        lastAppendMs: note.timeMs,
      });
    }
  }
  return ends;
}

/** Makes a partition end at its last commit. */
async function cutPartition(
  disk: Disk,
  found: Found,
  end: BasePlace | undefined,
  logger: Logger,
): Promise<{ partition: Partition; bytes: number }> {
  const { topic, partition, scans } = found;
  const folder = topic.partitionFolder(partition);
  const nextOffset = end?.nextOffset ?? 0;
  let cut = 0;
  const segments = found.segments.filter((segment) => segment.baseOffset <= nextOffset);
  for (const segment of found.segments.slice(segments.length).reverse()) {
    cut += scans.get(segment)?.fileSize ?? 0;
    await segment.retire();
    await segment.remove();
  }
  const active = segments.at(-1);
  // The segment that contains the end, unless a new one had started right after it.
  const holdsEnd = active?.baseOffset === (end?.segment ?? 0);
  if (active === undefined || !(holdsEnd || active.baseOffset === nextOffset))
    throw new FreshetError(
      'invalid_data',
      `${folder}: the segment ${segmentName(end?.segment ?? 0)} , which contains the end of the partition (offset ${nextOffset}), ` +
        'is missing. Restore it from a backup, or move the data folder away and start with an empty one.',
    );
  const size = holdsEnd ? (end?.position ?? 0) : 0;
  const scan = scans.get(active) ?? (await scanSegment(disk, active, 0));
  if (scan.end < size) throw active.damaged(scan.end);
  if (scan.fileSize > size) {
    cut += scan.fileSize - size;
    await truncate(disk, active, size);
    const again = await active.scan(size, scan.modifiedMs);
    if (again.end !== size) throw active.damaged(again.end);
  }
  if (cut > 0) {
    await active.removeIndex();
    await disk.syncFolder(folder);
    logger.info(
      { event: 'log_tail_cut', topic: topic.name, partition, bytes: cut, offset: nextOffset },
      `${topic.name}[${partition}]: ${cut} bytes after the last commit were cut off`,
    );
  }
  if (holdsEnd && end !== undefined && size > 0) {
    active.facts.firstAppendMs = end.firstAppendMs;
    active.facts.lastAppendMs = end.lastAppendMs;
  }
  const start = Math.min(found.start, nextOffset);
  const made = new Partition(disk, topic, partition, segments, start, nextOffset);
  made.appendTimeMs = topic.config.logAppendTime ? await latestTimestamp(segments) : 0;
  return { partition: made, bytes: cut };
}

async function syncSegment(disk: Disk, segment: Segment): Promise<void> {
  const fd = await segment.acquire();
  if (fd === null) return;
  try {
    await disk.sync(fd);
  } finally {
    await segment.release();
  }
}

async function truncate(disk: Disk, segment: Segment, size: number): Promise<void> {
  const fd = await segment.acquire();
  if (fd === null) return;
  try {
    await disk.truncate(fd, size);
    await disk.sync(fd);
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
