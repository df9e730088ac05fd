/**
 * The embedded log: the log port on files that belong to this process alone, for running without brokers. It keeps the
 * same contract as Kafka, with shorter waits. Folder:
 *
 *   transactions                              which commits count, and where they end (transaction-log.ts)
 *   life.json                                 how it was closed, and its incarnation (life.ts)
 *   topics/<name>/topic.json                  configuration
 *   topics/<name>/<partition>/<offset>.log    record batches, as Kafka has them; closed ones have an .index
 *   topics/<name>/<partition>/segments.json   the closed ones, for noticing that a file is missing (manifest.ts)
 *   groups.json                               offsets shown for lag displays
 *   lost/<incarnation>                        what opening the log had to cut off acknowledged records (cut.ts)
 *
 * No other process may have the folder open; the caller that opens it takes the lock.
 */
import { randomInt } from 'node:crypto';
import { type Clock, systemClock } from '../../process/clock.js';
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type {
  Log,
  LogAdmin,
  LogReader,
  LogWriter,
  Membership,
  MembershipOptions,
  PartitionOffsets,
  ReaderOptions,
  ReaderStart,
  TopicConfig,
  TopicPartition,
  TransactionalWriter,
} from '../log.js';
import { Committer } from './committer.js';
import { compactedTo } from './compaction.js';
import { type Disk, diskError, nodeDisk } from './disk.js';
import { Groups } from './groups.js';
import { bootId, Life } from './life.js';
import { boundedClock, checkClock, uptimeMs } from './log-clock.js';
import { Maintenance } from './maintenance.js';
import { EmbeddedReader } from './reader.js';
import { recover } from './recovery.js';
import { Segment } from './segment.js';
import { noFacts, SegmentIndex } from './segment-index.js';
import { ShownOffsets } from './shown-offsets.js';
import { deletedTopicPath, newTopicPath, TOPICS_FOLDER } from './survey.js';
import { findOffsetForTime } from './time-search.js';
import { Partition, TOPIC_FILE, Topic } from './topic.js';
import { checkTopicConfig, compacts } from './topic-config.js';
import { TransactionLog } from './transaction-log.js';
import { EmbeddedTransactionalWriter, EmbeddedWriter, TransactionalIds } from './writer.js';

interface EmbeddedLogOptions {
  /** Log time, segment ages and retention follow this clock; waiting readers and background work follow real time. */
  readonly clock?: Clock;
  /** Topic settings by their Kafka names, for topics that do not set them. */
  readonly defaults?: Readonly<Record<string, string>>;
  /** Time between two rounds of retention and compaction, ms (default 15 s). */
  readonly maintenanceIntervalMs?: number;
  /** Longest time that a commit stays in the page cache before it is synced to disk, ms (default 1 s). */
  readonly syncIntervalMs?: number;
  readonly disk?: Disk;
  /** An id of this boot of the machine; null if unknown (default: that of the system). */
  readonly boot?: string | null;
  /** Time that passes whatever the clock is set to, ms; null: the clock is trusted (default if one is given). */
  readonly elapsedMs?: (() => number) | null;
  /** The clock is right, however far it is from the newest record. */
  readonly acceptClockJump?: boolean;
}

export interface EmbeddedLog extends Log {
  readonly kind: 'embedded';
  /** Applies retention and compaction now instead of at the next round. */
  maintain(): Promise<void>;
  /** Makes `before` (at most the end) the first offset of a partition, permanently. */
  deleteRecords(partition: TopicPartition, before: number): Promise<void>;
}

const MAINTENANCE_INTERVAL_MS = 15_000;
const SYNC_INTERVAL_MS = 1000;

/**
 * Opens the log in `folder`, creating it if it does not exist, and cuts off what a crash left unfinished. Throws
 * FreshetError('invalid_data') when files are damaged in a way that a crash cannot explain, and 'state' when the clock is
 * far from the newest record.
 */
export async function openEmbeddedLog(
  folder: string,
  logger: Logger,
  options: EmbeddedLogOptions = {},
): Promise<EmbeddedLog> {
  const disk = options.disk ?? nodeDisk;
  const transactionLog = new TransactionLog(disk, folder);
  const life = await Life.read(disk, folder, options.boot === undefined ? await bootId() : options.boot);
  const { defaults = {}, clock = systemClock, elapsedMs = options.clock ? null : uptimeMs } = options;
  const checkTime = (newestMs: number) => {
    if (!options.acceptClockJump) checkClock(folder, newestMs, clock.now());
  };
  const recovered = await recover({ disk, folder, transactionLog, life, defaults, logger, checkTime });
  const logClock = elapsedMs === null ? clock : boundedClock(clock, elapsedMs, logger);
  const log = new FileLog({ folder, disk, transactionLog, life, logger, options, ...recovered, clock: logClock });
  await log.begin(recovered);
  return log;
}

interface Opened {
  readonly folder: string;
  readonly disk: Disk;
  readonly transactionLog: TransactionLog;
  readonly life: Life;
  readonly logger: Logger;
  readonly options: EmbeddedLogOptions;
  readonly topics: readonly Topic[];
  readonly commit: number;
  readonly newestMs: number;
  readonly clock: Clock;
}

class FileLog implements EmbeddedLog, LogAdmin {
  readonly kind = 'embedded';
  readonly #folder: string;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #defaults: Readonly<Record<string, string>>;
  readonly #life: Life;
  readonly #topics: Map<string, Topic>;
  readonly #committer: Committer;
  readonly #maintenance: Maintenance;
  readonly #groups: Groups;
  readonly #shown: ShownOffsets;
  readonly #ids = new TransactionalIds();
  readonly #readers = new Set<EmbeddedReader>();
  #closing: Promise<void> | null = null;
  #closed = false;

  constructor({ folder, disk, transactionLog, life, logger, options, topics, commit, newestMs, clock }: Opened) {
    this.#folder = folder;
    this.#disk = disk;
    this.#life = life;
    this.#clock = clock;
    this.#defaults = options.defaults ?? {};
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]));
    const shared = { disk, logger, clock: this.#clock, partitions: () => this.#partitions() };
    const syncIntervalMs = options.syncIntervalMs ?? SYNC_INTERVAL_MS;
    this.#committer = new Committer({ ...shared, transactionLog, commit, newestMs, syncIntervalMs });
    const intervalMs = options.maintenanceIntervalMs ?? MAINTENANCE_INTERVAL_MS;
    this.#maintenance = new Maintenance({ ...shared, committer: this.#committer, intervalMs });
    this.#shown = new ShownOffsets(disk, folder, logger);
    this.#groups = new Groups(this.#shown, logger);
  }

  async begin({ stale, leftovers }: { readonly stale: boolean; readonly leftovers: readonly string[] }): Promise<void> {
    await this.#committer.begin(stale);
    for (const path of leftovers) await this.#disk.removeFolder(path);
    await this.#shown.load();
    this.#maintenance.start();
  }

  get admin(): LogAdmin {
    return this;
  }

  *#partitions(): Iterable<Partition> {
    for (const topic of this.#topics.values()) yield* topic.partitions;
  }

  #checkOpen(): void {
    if (this.#closed) throw new FreshetError('state', 'the embedded log is closed');
  }

  #topic(name: string): Topic {
    this.#checkOpen();
    const topic = this.#topics.get(name);
    if (topic === undefined)
      throw new FreshetError(
        'unknown_topic',
        `there is no topic ${name}; run "freshet topics apply" to create the declared topics`,
      );
    return topic;
  }

  #partition({ topic, partition }: TopicPartition): Partition {
    const { partitions } = this.#topic(topic);
    const found = partitions[partition];
    if (found === undefined)
      throw new FreshetError(
        'unknown_topic',
        `topic ${topic} has no partition ${partition}: it has ${partitions.length}`,
      );
    return found;
  }

  async listTopics(): Promise<string[]> {
    return [...this.#topics.keys()].sort();
  }

  async describeTopic(name: string): Promise<TopicConfig | null> {
    return this.#topics.get(name)?.config ?? null;
  }

  /** Differs also after acknowledged records were lost: what was derived from them must be rebuilt. */
  async topicId(name: string): Promise<string> {
    const { id } = this.#topic(name);
    const { incarnation } = this.#life;
    return incarnation === 0 ? String(id) : `${id}.${incarnation}`;
  }

  /** Throws FreshetError('settings') for an invalid configuration, 'state' if the topic exists. */
  createTopic(config: TopicConfig): Promise<void> {
    return this.#committer.exclusive(async () => {
      this.#checkOpen();
      checkTopicConfig(config);
      if (this.#topics.has(config.name)) throw new FreshetError('state', `topic ${config.name} already exists`);
      const { name, partitions, cleanup, retentionMs, logAppendTime, settings } = config;
      const kept = { name, partitions, cleanup, retentionMs, logAppendTime, settings: { ...settings } };
      const folder = `${this.#folder}/${TOPICS_FOLDER}`;
      const topic = new Topic(randomInt(2 ** 47), kept, `${folder}/${name}`, this.#defaults);
      await this.#writeTopic(topic, newTopicPath(this.#folder, name)).catch((error: unknown) => {
        throw diskError(`topic ${name} cannot be created`, error);
      });
      topic.partitions = Array.from({ length: partitions }, (_, partition) => {
        const segment = new Segment(this.#disk, topic.partitionFolder(partition), 0);
        segment.adopt(new SegmentIndex(), noFacts());
        return new Partition(this.#disk, topic, partition, [segment], 0, 0);
      });
      this.#topics.set(name, topic);
    });
  }

  /** Everything is written aside and appears with one rename. */
  async #writeTopic(topic: Topic, aside: string): Promise<void> {
    const disk = this.#disk;
    await disk.removeFolder(aside);
    await disk.makeFolder(aside);
    for (let partition = 0; partition < topic.config.partitions; partition++) {
      await disk.makeFolder(`${aside}/${partition}`);
      await disk.close(await disk.open(new Segment(disk, `${aside}/${partition}`, 0).path, 'w+'));
    }
    const fd = await disk.open(`${aside}/${TOPIC_FILE}`, 'w+');
    try {
      await disk.write(fd, [topic.encode()], 0);
      await disk.sync(fd);
    } finally {
      await disk.close(fd);
    }
    await disk.syncFolder(aside);
    await disk.rename(aside, topic.folder);
    await disk.syncFolder(`${this.#folder}/${TOPICS_FOLDER}`);
  }

  /** Between two rounds of maintenance: a running one could remove files of a new topic with the same name. */
  deleteTopic(name: string): Promise<void> {
    return this.#maintenance.exclusive(async () => {
      const aside = await this.#committer.whileQuiet(() => this.#moveAside(name));
      await this.#committer.checkpoint();
      await this.#disk.removeFolder(aside);
    });
  }

  async #moveAside(name: string): Promise<string> {
    const topic = this.#topic(name);
    const aside = deletedTopicPath(this.#folder, topic.id);
    await this.#disk.rename(topic.folder, aside);
    topic.deleted = true;
    this.#topics.delete(name);
    this.#shown.forgetTopic(name);
    for (const partition of topic.partitions) {
      for (const segment of partition.segments) await segment.retire();
      partition.wakeReaders();
    }
    await this.#disk.syncFolder(`${this.#folder}/${TOPICS_FOLDER}`);
    return aside;
  }

  async partitionCount(topic: string): Promise<number> {
    return this.#topic(topic).config.partitions;
  }

  /** Every record with an offset is committed: the last stable offset is the end. */
  async offsets(partition: TopicPartition): Promise<PartitionOffsets> {
    const found = this.#partition(partition);
    const compacted = compacts(found.topic.config) ? { compacted: await compactedTo(found) } : {};
    const { start, nextOffset } = found;
    return { earliest: start, lastStable: nextOffset, highWatermark: nextOffset, ...compacted };
  }

  async offsetForTime(partition: TopicPartition, ms: number): Promise<number | null> {
    return findOffsetForTime(this.#disk, this.#partition(partition), ms);
  }

  /** Both isolations read the same: records that are not committed are not in the log. */
  reader(start: readonly ReaderStart[], options: ReaderOptions = {}): LogReader {
    const places = start.map((place) => ({ ...place, partition: this.#partition(place) }));
    const reader = new EmbeddedReader(this.#disk, places, options, (closed) => this.#readers.delete(closed));
    this.#readers.add(reader);
    return reader;
  }

  async writer(topics: readonly string[]): Promise<LogWriter> {
    return new EmbeddedWriter(
      this.#committer,
      topics.map((name) => this.#topic(name)),
      this.#clock,
    );
  }

  async transactionalWriter(transactionalId: string, topics: readonly string[]): Promise<TransactionalWriter> {
    const found = topics.map((name) => this.#topic(name));
    return new EmbeddedTransactionalWriter(transactionalId, this.#ids, this.#committer, found, this.#clock);
  }

  async join(options: MembershipOptions): Promise<Membership> {
    this.#checkOpen();
    return this.#groups.join(options);
  }

  async shownOffsets(group: string, partitions: readonly TopicPartition[]): Promise<number[]> {
    return this.#shown.get(group, partitions);
  }

  maintain(): Promise<void> {
    this.#checkOpen();
    return this.#maintenance.run();
  }

  async deleteRecords(partition: TopicPartition, before: number): Promise<void> {
    await this.#maintenance.deleteRecords(this.#partition(partition), before);
  }

  /** Ends memberships and readers, then syncs everything to disk. Pending commits are finished first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Members may still write and read while they give up their tasks.
    await this.#groups.close();
    this.#closed = true;
    for (const reader of [...this.#readers]) await reader.close();
    await this.#maintenance.close();
    try {
      if (await this.#committer.close()) await this.#life.close();
    } finally {
      await this.#shown.close();
      for (const { segments } of this.#partitions()) for (const segment of segments) await segment.deactivate();
    }
  }
}
