/**
 * Opening turns what a dead process left behind into a log that ends with a whole commit. All commits up to some number
 * stay; everything after it is cut off in all partitions, so no transaction is there in part.
 *
 * After a killed process the page cache has everything written, in order: only the one commit without a note is cut.
 * After a power loss the disk may lack any part of the last second: then the end is the last commit that is complete in
 * all its partitions, as are all before it. What a durable mark declared safe must be there, or opening stops.
 *
 * When acknowledged commits are lost, or may be, the log starts a new incarnation (life.ts): every topic has another id
 * from then on, so that nothing derived from the lost records is taken for current.
 *
 *   survey (survey.ts) ─► last whole commit ─► plan the cuts (cut.ts) ─► incarnation on disk ─► save aside, cut
 */
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { type Cut, cutPartition, planCut, saveExcess, syncSegment } from './cut.js';
import { type Disk, replaceFile } from './disk.js';
import { LIFE_FILE, type Life } from './life.js';
import { writeManifest } from './manifest.js';
import {
  type Found,
  type FoundTopics,
  findPartition,
  findTopics,
  openFormat,
  TOPICS_FOLDER,
  writeFormat,
} from './survey.js';
import { TOPIC_FILE, type Topic } from './topic.js';
import {
  type BasePlace,
  decodeTransactionLog,
  type Place,
  type TransactionLog,
  type TransactionLogContents,
} from './transaction-log.js';

const LOST_FOLDER = 'lost';

interface RecoverOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly transactionLog: TransactionLog;
  readonly life: Life;
  /** Topic settings by their Kafka names, for topics that do not set them. */
  readonly defaults: Readonly<Record<string, string>>;
  readonly logger: Logger;
  /** Called before anything is cut, with the time of the newest commit, ms; 0 if there is none. May throw. */
  readonly checkTime: (newestMs: number) => void;
}

interface Recovered {
  readonly topics: Topic[];
  /** Number of the last commit. */
  readonly commit: number;
  /** When the newest commit was made, by the log's clock, ms; 0 for an empty log. */
  readonly newestMs: number;
  /** The transaction log must be rewritten before anything is written: bytes were cut, or notes are left. */
  readonly stale: boolean;
  /** Folders to remove once the transaction log has been rewritten. */
  readonly leftovers: readonly string[];
}

const placeKey = (topicId: number, partition: number) => `${topicId}/${partition}`;

/** Reads the transaction log and all topics, and cuts off what was never committed. */
export async function recover(o: RecoverOptions): Promise<Recovered> {
  const { disk, folder, transactionLog, life, logger } = o;
  await disk.makeFolder(`${folder}/${TOPICS_FOLDER}`);
  const { upgrades } = await openFormat(disk, folder);
  const found = await findTopics(disk, folder, o.defaults, upgrades);
  const { topics, leftovers } = found;
  const bytes = await transactionLog.read();
  if (bytes === null && topics.length > 0) throw unreadable(folder, 'is missing');
  if (bytes === null) {
    await life.begin();
    return { topics, commit: 0, newestMs: 0, stale: true, leftovers };
  }
  if (life.isUnknown && !upgrades)
    throw new FreshetError(
      'invalid_data',
      `${folder}/${LIFE_FILE} is missing, so it is unknown whether records were lost. Restore the folder from a backup, ` +
        'or move it away and start with an empty one.',
    );
  const contents = decodeTransactionLog(bytes);
  if (contents === null) throw unreadable(folder, 'cannot be read');
  if (contents.damagedInside || (life.wasClosed && contents.end < bytes.length))
    throw unreadable(folder, `is damaged at byte ${contents.end}, in what had been written to disk`);
  refuseMissingTopics(folder, found, contents);

  const parts = await survey(o, topics, contents, upgrades);
  const commit = lastWholeCommit(contents, parts);
  const ends = endsAt(contents, commit);
  const cuts = new Map<string, Cut>();
  for (const [key, part] of parts) cuts.set(key, await planCut(disk, part, ends.get(key), commit));
  const newestMs = newestTime(contents, commit);
  o.checkTime(newestMs);
  await beginLife(o, contents, commit, [...cuts.values()], bytes);

  let cutBytes = 0;
  for (const topic of topics) {
    topic.partitions = await Promise.all(
      Array.from({ length: topic.config.partitions }, async (_, partition) => {
        const key = placeKey(topic.id, partition);
        const cut = await cutPartition(disk, cuts.get(key)!, logger);
        cutBytes += cut.bytes;
        return cut.partition;
      }),
    );
    for (const { partition } of topic.partitions) {
      const part = parts.get(placeKey(topic.id, partition))!;
      // The new transaction log will declare them safe.
      for (const [segment, scan] of part.scans) if (scan.commitAt.size > 0) await syncSegment(disk, segment);
      if (part.manifestIsStale) await writeManifest(disk, topic.partitions[partition]!, commit);
    }
  }
  if (upgrades) await upgrade(disk, folder, topics);
  const stale = cutBytes > 0 || contents.notes.length > 0 || contents.end !== bytes.length || leftovers.length > 0;
  return { topics, commit, newestMs, stale, leftovers };
}

function unreadable(folder: string, what: string): FreshetError {
  return new FreshetError(
    'invalid_data',
    `${folder}/transactions ${what}, so it is unknown which records were committed. Restore the folder from a ` +
      'backup, or move it away and start with an empty one.',
  );
}

/** The folder of a topic that was not deleted must be there; otherwise its records would be gone without a word. */
function refuseMissingTopics(folder: string, { topics, deleted }: FoundTopics, contents: TransactionLogContents): void {
  const ids = new Set(topics.map(({ id }) => id));
  for (const { topicId, nextOffset } of [...contents.base, ...contents.notes.flatMap(({ places }) => places)])
    if (nextOffset > 0 && !ids.has(topicId) && !deleted.has(topicId))
      throw new FreshetError(
        'invalid_data',
        `${folder}/${TOPICS_FOLDER} has no folder whose ${TOPIC_FILE} has the id ${topicId}, but the transaction log knows records of ` +
          'that topic. Nothing was changed. Restore the folder from a backup, or move the data folder away and start ' +
          'with an empty one.',
      );
}

async function survey(
  { disk }: RecoverOptions,
  topics: readonly Topic[],
  contents: TransactionLogContents,
  upgrades: boolean,
): Promise<Map<string, Found>> {
  const { durableCommit } = contents;
  const unsafe = new Map<string, Place[]>();
  for (const note of contents.notes) {
    if (note.commit <= durableCommit) continue;
    for (const place of note.places) {
      const key = placeKey(place.topicId, place.partition);
      const places = unsafe.get(key);
      if (places) places.push(place);
      else unsafe.set(key, [place]);
    }
  }
  const parts = new Map<string, Found>();
  for (const topic of topics) {
    const found = await Promise.all(
      Array.from({ length: topic.config.partitions }, (_, partition) => {
        const places = unsafe.get(placeKey(topic.id, partition)) ?? [];
        return findPartition({ disk, topic, partition, unsafe: places, durableCommit, upgrades });
      }),
    );
    for (const part of found) parts.set(placeKey(topic.id, part.partition), part);
  }
  return parts;
}

/** Decides whether acknowledged commits are lost, and puts that on disk, and their records aside, before they are cut. */
async function beginLife(
  { disk, folder, life, logger }: RecoverOptions,
  contents: TransactionLogContents,
  commit: number,
  cuts: readonly Cut[],
  transactionLog: Buffer,
): Promise<void> {
  const noted = contents.notes.at(-1)?.commit ?? 0;
  const newest = Math.max(noted, ...cuts.map(({ newestCommit }) => newestCommit));
  // The commit after the last one may never have been acknowledged; a note of it, or a later commit, proves that it was.
  const isLost = noted > commit || newest > commit + 1;
  if (isLost && life.wasClosed) throw unreadable(folder, `lacks the last ${newest - commit} commits`);
  if (isLost || life.powerFailed) life.renew();
  await life.begin();
  if (isLost) {
    const aside = `${folder}/${LOST_FOLDER}/${life.incarnation}`;
    await disk.makeFolder(aside);
    for (const cut of cuts) await saveExcess(disk, cut, aside);
    await replaceFile(disk, `${aside}/transactions`, transactionLog, true);
    logger.warn(
      { event: 'log_commits_lost', commits: newest - commit, kept_in: aside },
      `The last ${newest - commit} commits had not reached the disk when the machine stopped; the log ends before them. ` +
        `What there is of them is kept in ${aside}. Everything derived from the log is rebuilt`,
    );
  } else if (life.powerFailed)
    logger.warn(
      { event: 'log_power_failed' },
      'The machine stopped while the log was open, so its last second may be missing. Everything derived from the log is rebuilt',
    );
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

function newestTime({ base, baseTimeMs, notes }: TransactionLogContents, commit: number): number {
  // Without batches, the times of a place are those of the file.
  const inBase = base.map(({ position, lastAppendMs }) => (position > 0 ? lastAppendMs : 0));
  const inNotes = notes.map((note) => (note.commit <= commit ? note.timeMs : 0));
  return [...inBase, ...inNotes].reduce((newest, time) => Math.max(newest, time), baseTimeMs);
}

/** Writes the checksums that the former format did not have; the format last, so that a crash repeats the rest. */
async function upgrade(disk: Disk, folder: string, topics: readonly Topic[]): Promise<void> {
  for (const topic of topics) {
    await replaceFile(disk, `${topic.folder}/${TOPIC_FILE}`, topic.encode(), true);
    for (const partition of topic.partitions) await partition.saveStart();
  }
  await writeFormat(disk, folder);
}
