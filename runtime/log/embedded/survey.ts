/** What a dead process left on disk, before anything is decided: topics, their segments, and the commits in them. */
import { FreshetError } from '../../process/errors.js';
import type { TopicConfig } from '../log.js';
import { type Disk, replaceFile, UNFINISHED_SUFFIX } from './disk.js';
import { compareManifest, listSwaps } from './manifest.js';
import { readSealed } from './sealed-file.js';
import { INDEX_SUFFIX, SEGMENT_SUFFIX, Segment } from './segment.js';
import { finishSwaps, pendingSwaps } from './swap.js';
import { START_FILE, TOPIC_FILE, Topic } from './topic.js';
import { checkTopicConfig } from './topic-config.js';
import type { Place } from './transaction-log.js';

export const TOPICS_FOLDER = 'topics';
/** Prefix of folders of topics that are half created or half deleted; no topic name can start with it. */
const UNFINISHED_PREFIX = '~';
const DELETED_PREFIX = `${UNFINISHED_PREFIX}old-`;
const FORMAT_FILE = 'format.json';
const FORMAT = 2;
/** The format before: no checksums in topic.json and start.json, no lists of segments. It is upgraded when opened. */
const FORMAT_BEFORE = 1;

/** Where a topic is written until it is whole. */
export const newTopicPath = (folder: string, name: string) =>
  `${folder}/${TOPICS_FOLDER}/${UNFINISHED_PREFIX}new-${name}`;
/** Where a deleted topic is until the transaction log no longer refers to it. */
export const deletedTopicPath = (folder: string, id: number) => `${folder}/${TOPICS_FOLDER}/${DELETED_PREFIX}${id}`;

/** The contents of a partition's folder. */
export interface Found {
  readonly topic: Topic;
  readonly partition: number;
  /** Empty where the machine stopped right after the topic was created: that does not wait for these names. */
  readonly segments: Segment[];
  /** Of the segments that the transaction log does not declare safe: the last, and those that unsafe commits wrote to. */
  readonly scans: ReadonlyMap<Segment, Scan>;
  readonly start: number;
  /** Its manifest must be written again. */
  readonly manifestIsStale: boolean;
  /** Closed segments that its manifest lacks. */
  readonly unlisted: readonly Segment[];
}

interface Scan {
  readonly fileSize: number;
  readonly modifiedMs: number;
  /** End of the last intact batch. */
  readonly end: number;
  /** End of a batch → its commit, for commits that may not be on disk. */
  readonly commitAt: ReadonlyMap<number, number>;
}

/** The log's folder. `upgrades`: it is of the former format. */
export async function openFormat(disk: Disk, folder: string): Promise<{ readonly upgrades: boolean }> {
  const path = `${folder}/${FORMAT_FILE}`;
  const format = (await readSealed<{ format?: unknown }>(disk, path, true))?.format;
  if (format === undefined && (await disk.readWhole(path)) === null) await writeFormat(disk, folder);
  else if (format !== FORMAT && format !== FORMAT_BEFORE)
    throw new FreshetError(
      'invalid_data',
      `${folder} contains a log of format ${JSON.stringify(format)}; this version reads ${FORMAT}. Use the version that wrote it.`,
    );
  return { upgrades: format === FORMAT_BEFORE };
}

export function writeFormat(disk: Disk, folder: string): Promise<void> {
  return replaceFile(disk, `${folder}/${FORMAT_FILE}`, Buffer.from(`${JSON.stringify({ format: FORMAT })}\n`), true);
}

export interface FoundTopics {
  readonly topics: Topic[];
  /** Ids of topics whose deletion was not finished. */
  readonly deleted: ReadonlySet<number>;
  /** Folders to remove once the transaction log no longer refers to them. */
  readonly leftovers: readonly string[];
}

export async function findTopics(
  disk: Disk,
  folder: string,
  defaults: Readonly<Record<string, string>>,
  mayBeOpen: boolean,
): Promise<FoundTopics> {
  const topics: Topic[] = [];
  const deleted = new Set<number>();
  const leftovers: string[] = [];
  for (const name of await disk.listFolders(`${folder}/${TOPICS_FOLDER}`)) {
    const path = `${folder}/${TOPICS_FOLDER}/${name}`;
    if (name.startsWith(DELETED_PREFIX)) deleted.add(Number(name.slice(DELETED_PREFIX.length)));
    if (name.startsWith(UNFINISHED_PREFIX)) {
      leftovers.push(path);
      continue;
    }
    const saved = await readSealed<{ id: number; config: TopicConfig }>(disk, `${path}/${TOPIC_FILE}`, mayBeOpen);
    if (saved === null) throw new FreshetError('invalid_data', `${path} is not a topic: ${TOPIC_FILE} is missing`);
    const { id, config } = saved;
    checkTopicConfig(config);
    if (config.name !== name)
      throw new FreshetError('invalid_data', `${path}/${TOPIC_FILE} is that of the topic ${config.name}: move it back`);
    topics.push(new Topic(id, config, path, defaults));
  }
  return { topics, deleted, leftovers };
}

interface SurveyOptions {
  readonly disk: Disk;
  readonly topic: Topic;
  readonly partition: number;
  /** Ends of commits that may not be on disk. */
  readonly unsafe: readonly Place[];
  /** All commits up to this one are on disk. */
  readonly durableCommit: number;
  /** The log is of the former format. */
  readonly upgrades: boolean;
}

/** Lists a partition's segments, compares them with its manifest, and scans those that may end anywhere. */
export async function findPartition(o: SurveyOptions): Promise<Found> {
  const { disk, topic, partition, unsafe } = o;
  const folder = topic.partitionFolder(partition);
  await listSwaps(disk, folder, await pendingSwaps(disk, folder));
  await finishSwaps(disk, folder);
  const names = await disk.list(folder);
  const segments = names
    .filter((name) => name.endsWith(SEGMENT_SUFFIX))
    .sort()
    .map((name) => new Segment(disk, folder, Number(name.slice(0, -SEGMENT_SUFFIX.length))));
  const isUnsafe = (segment: Segment) => unsafe.some((place) => place.segment === segment.baseOffset);
  const { isStale, unlisted } = await compareManifest({ disk, folder, segments, mayLack: o.upgrades });
  for (const name of names) {
    const isOrphan =
      name.endsWith(INDEX_SUFFIX) && !names.includes(name.slice(0, -INDEX_SUFFIX.length) + SEGMENT_SUFFIX);
    if (isOrphan || name.endsWith(UNFINISHED_SUFFIX)) await disk.remove(`${folder}/${name}`);
  }
  const scans = new Map<Segment, Scan>();
  for (const segment of segments)
    if (segment === segments.at(-1) || isUnsafe(segment))
      scans.set(segment, await scanSegment(disk, segment, o.durableCommit));
  const saved = await readSealed<{ start: number }>(disk, `${folder}/${START_FILE}`, o.upgrades);
  return { topic, partition, segments, scans, start: saved?.start ?? 0, manifestIsStale: isStale, unlisted };
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
