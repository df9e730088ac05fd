/**
 * The only place that writes records. Commits are serial; those that arrive while one is being written are then written
 * together, as one commit. A commit writes batches to all partitions, then a note in the transaction log, and only then,
 * in one synchronous step, makes all of it visible to readers.
 *
 * An acknowledged commit survives the death of the process. It survives a power loss once the background sync has
 * reached the disk, about a second later at most. Kafka's brokers do not wait for the disk either.
 */
import type { Clock } from '../../process/clock.js';
import { asError, FreshetError, messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { RecordBatchBuilder } from '../record-batch.js';
import { Addition } from './addition.js';
import { type Disk, diskError } from './disk.js';
import { writeManifest } from './manifest.js';
import { SerialQueue } from './queue.js';
import type { Segment } from './segment.js';
import type { Partition } from './topic.js';
import type { BasePlace, TransactionLog } from './transaction-log.js';

/** Batches for one partition, in order. */
interface PartitionBatches {
  readonly partition: Partition;
  readonly builders: readonly RecordBatchBuilder[];
}

interface CommitRequest {
  readonly transactional: boolean;
  readonly batches: readonly PartitionBatches[];
  readonly bytes: number;
  /** Called just before writing; throws if the commit must not happen after all. */
  readonly admit: () => void;
}

interface Waiting {
  readonly request: CommitRequest;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Waiting commits are joined up to this size. */
const JOINED_BYTES_MAX = 16 * 1024 * 1024;
/** A transaction log above this size is rewritten at the next sync. */
const TRANSACTION_LOG_BYTES_MAX = 256 * 1024;

interface CommitterOptions {
  readonly disk: Disk;
  readonly transactionLog: TransactionLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Number of the last commit in the log. */
  readonly commit: number;
  /** When the newest commit was made, ms. */
  readonly newestMs: number;
  /** Time between two syncs to disk while there is something to sync, ms. */
  readonly syncIntervalMs: number;
  readonly partitions: () => Iterable<Partition>;
}

export class Committer {
  readonly #o: CommitterOptions;
  readonly #queue = new SerialQueue();
  readonly #syncs = new SerialQueue();
  #waiting: Waiting[] = [];
  #commit: number;
  #durableCommit: number;
  /** When the newest commit was made, ms. */
  #newestMs: number;
  #dirty = new Set<Segment>();
  /** Partitions whose active segment was closed: the name of the next one and the manifest are not on disk yet. */
  #rolled = new Set<Partition>();
  /** Segments with bytes of a failed commit after their end. */
  readonly #torn = new Set<Segment>();
  #transactionLogTorn = false;
  /** Why no more commits are accepted. */
  #failure: FreshetError | null = null;
  #syncTimer: NodeJS.Timeout | null = null;
  readonly #background = new Set<Promise<void>>();

  constructor(options: CommitterOptions) {
    this.#o = options;
    this.#commit = options.commit;
    this.#durableCommit = options.commit;
    this.#newestMs = options.newestMs;
  }

  /** All commits up to this one are on disk. */
  get durableCommit(): number {
    return this.#durableCommit;
  }

  /** Runs `work` between two commits. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(work);
  }

  /** Runs `work` between two commits while nothing is being synced. */
  whileQuiet<T>(work: () => Promise<T>): Promise<T> {
    return this.#syncs.run(() => this.exclusive(work));
  }

  /**
   * Writes a request's batches. Throws what `admit` throws; FreshetError('unavailable') when the disk refuses, and then
   * the log contains none of it; FreshetError('indefinite_commit') when the disk even refuses to undo the note.
   */
  commit(request: CommitRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (this.#waiting.length === 1) void this.#queue.run(() => this.#commitWaiting());
    });
  }

  async #commitWaiting(): Promise<void> {
    const joined: Waiting[] = [];
    let bytes = 0;
    let taken = 0;
    for (const waiting of this.#waiting) {
      if (taken > 0 && bytes + waiting.request.bytes > JOINED_BYTES_MAX) break;
      taken++;
      try {
        waiting.request.admit();
        if (this.#failure) throw this.#failure;
        joined.push(waiting);
        bytes += waiting.request.bytes;
      } catch (error) {
        waiting.reject(asError(error));
      }
    }
    this.#waiting = this.#waiting.slice(taken);
    if (this.#waiting.length > 0) void this.#queue.run(() => this.#commitWaiting());
    if (joined.length === 0) return;
    try {
      await this.#write(joined.map((waiting) => waiting.request));
    } catch (error) {
      for (const waiting of joined) waiting.reject(asError(error));
      return;
    }
    for (const waiting of joined) waiting.resolve();
  }

  async #write(requests: readonly CommitRequest[]): Promise<void> {
    const now = this.#o.clock.now();
    const commit = this.#commit + 1;
    let additions: readonly Addition[] = [];
    try {
      await this.#cutTornTails();
      additions = await this.#gather(requests, commit, now);
      const writes = await Promise.allSettled(additions.map((addition) => this.#append(addition)));
      for (const write of writes) if (write.status === 'rejected') throw write.reason;
      this.#transactionLogTorn = true;
      await this.#o.transactionLog.append({ commit, timeMs: now, places: additions.map(({ place }) => place) });
      this.#transactionLogTorn = false;
    } catch (error) {
      for (const { segment } of additions) this.#torn.add(segment);
      await this.#cutTornTails().catch(() => undefined);
      if (this.#transactionLogTorn)
        throw new FreshetError(
          'indefinite_commit',
          `The log cannot be written: ${messageOf(error)}. Whether the log contains this commit is known when it is opened again.`,
          { cause: error },
        );
      throw new FreshetError(
        'unavailable',
        `The log cannot be written: ${messageOf(error)}. The log contains nothing of this commit. Free space on the disk of the ` +
          'data folder, or repair the disk.',
        { cause: error },
      );
    }
    this.#publish(commit, additions, now);
  }

  /** Removes the remains of a failed commit, so that a later, shorter one cannot leave parts of them behind. */
  async #cutTornTails(): Promise<void> {
    if (this.#transactionLogTorn) {
      await this.#o.transactionLog.cutBack();
      this.#transactionLogTorn = false;
    }
    for (const segment of this.#torn) {
      const fd = await segment.acquire();
      if (fd !== null) {
        try {
          await this.#o.disk.truncate(fd, segment.size);
        } finally {
          await segment.release();
        }
      }
      this.#torn.delete(segment);
    }
  }

  /** The additions of all requests, by partition. */
  async #gather(requests: readonly CommitRequest[], commit: number, now: number): Promise<Addition[]> {
    const additions = new Map<Partition, Addition>();
    for (const { batches, transactional } of requests)
      for (const { partition, builders } of batches) {
        let addition = additions.get(partition);
        if (addition === undefined) {
          await this.#rollIfDue(partition, now);
          addition = new Addition(partition, now);
          additions.set(partition, addition);
        }
        for (const builder of builders) addition.add(builder, commit, transactional);
      }
    return [...additions.values()];
  }

  async #rollIfDue(partition: Partition, now: number): Promise<void> {
    const { active } = partition;
    const { segmentBytes, segmentMs } = partition.topic.limits;
    if (active.size >= segmentBytes || now - active.facts.firstAppendMs >= segmentMs) await this.#roll(partition);
  }

  async #roll(partition: Partition): Promise<void> {
    const old = partition.active;
    if (old.size === 0) return;
    await partition.roll();
    this.#rolled.add(partition);
    const saving = old
      .saveIndex()
      .catch((error: unknown) =>
        this.#o.logger.debug({ event: 'log_index_not_saved', path: old.path }, messageOf(error)),
      )
      .finally(() => this.#background.delete(saving));
    this.#background.add(saving);
  }

  /** Closes the active segment of a partition, so that maintenance may process it. */
  rollNow(partition: Partition): Promise<void> {
    return this.exclusive(async () => {
      await this.#cutTornTails();
      await this.#roll(partition);
    });
  }

  async #append({ segment, chunks }: Addition): Promise<void> {
    const fd = await segment.acquire();
    if (fd === null) throw new FreshetError('unknown_topic', `${segment.path} was removed`);
    try {
      await this.#o.disk.write(fd, chunks, segment.size);
    } finally {
      await segment.release();
    }
  }

  /** Must not await: readers see all partitions of a commit or none. */
  #publish(commit: number, additions: readonly Addition[], now: number): void {
    this.#commit = commit;
    this.#newestMs = Math.max(this.#newestMs, now);
    for (const addition of additions) {
      addition.publish(commit, now);
      this.#dirty.add(addition.segment);
    }
    for (const { partition } of additions) partition.wakeReaders();
    this.#syncLater();
  }

  #syncInBackground(): void {
    this.#syncTimer = null;
    this.sync().catch((error: unknown) => {
      this.#o.logger.error({ event: 'log_sync_failed' }, messageOf(error));
      if (this.#failure === null) this.#syncLater();
    });
  }

  #syncLater(): void {
    this.#syncTimer ??= setTimeout(() => this.#syncInBackground(), this.#o.syncIntervalMs).unref();
  }

  /**
   * Syncs everything committed so far to disk. Throws FreshetError('unavailable'); if the sync itself failed, nothing
   * more is written until the log is opened again.
   */
  sync(): Promise<void> {
    return this.#syncs.run(() => this.#sync(this.#o.transactionLog.size > TRANSACTION_LOG_BYTES_MAX));
  }

  /** Like sync(), and rewrites the transaction log, which then refers to no deleted topic any more. */
  checkpoint(): Promise<void> {
    return this.#syncs.run(() => this.#sync(true));
  }

  async #sync(rewrite: boolean): Promise<void> {
    const commit = this.#commit;
    if (commit === this.#durableCommit && this.#rolled.size === 0 && !rewrite) return;
    const segments = this.#dirty;
    const rolled = this.#rolled;
    this.#dirty = new Set();
    this.#rolled = new Set();
    const places = rewrite ? this.#places() : null;
    await this.#orFail(async () => {
      for (const segment of segments) await this.#syncSegment(segment);
      for (const { folder, topic } of rolled) if (!topic.deleted) await this.#o.disk.syncFolder(folder);
    });
    try {
      for (const partition of rolled) await writeManifest(this.#o.disk, partition, commit);
    } catch (error) {
      for (const partition of rolled) this.#rolled.add(partition);
      throw diskError('The manifest of a partition cannot be written', error);
    }
    try {
      await this.exclusive(() =>
        places === null ? this.#markDurable(commit) : this.#o.transactionLog.begin(commit, this.#newestMs, places),
      );
    } catch (error) {
      throw diskError('The transaction log cannot be written', error);
    }
    if (places === null) await this.#orFail(() => this.#o.transactionLog.sync());
    this.#durableCommit = commit;
  }

  async #markDurable(commit: number): Promise<void> {
    if (this.#transactionLogTorn) await this.#cutTornTails();
    this.#transactionLogTorn = true;
    await this.#o.transactionLog.markDurable(commit);
    this.#transactionLogTorn = false;
  }

  /** After a failed fsync the kernel may drop the pages and report success next time: no more commits are accepted. */
  async #orFail(sync: () => Promise<void>): Promise<void> {
    try {
      await sync();
    } catch (error) {
      this.#failure = new FreshetError(
        'unavailable',
        `The disk failed to store what was written to the log (${messageOf(error)}): nothing more is written until it is ` +
          'opened again. Check the disk of the data folder, then restart.',
        { cause: error },
      );
      throw this.#failure;
    }
  }

  async #syncSegment(segment: Segment): Promise<void> {
    const fd = await segment.acquire();
    if (fd === null) return;
    try {
      await this.#o.disk.sync(fd);
    } finally {
      await segment.release();
    }
  }

  /** The current end of every partition, between two commits. */
  #places(): BasePlace[] {
    return Array.from(this.#o.partitions(), ({ topic, partition, active, nextOffset }) => ({
      topicId: topic.id,
      partition,
      segment: active.baseOffset,
      position: active.size,
      nextOffset,
      firstAppendMs: active.facts.firstAppendMs,
      lastAppendMs: active.facts.lastAppendMs,
    }));
  }

  /** Makes the transaction log ready for writing; a stale one is rewritten, since everything left is on disk. */
  begin(isStale: boolean): Promise<void> {
    return isStale ? this.#beginTransactionLog() : this.#o.transactionLog.open();
  }

  #beginTransactionLog(): Promise<void> {
    return this.exclusive(() => this.#o.transactionLog.begin(this.#commit, this.#newestMs, this.#places()));
  }

  /** Waits for pending commits and syncs them to disk. True if the next opening has nothing to recover. */
  async close(): Promise<boolean> {
    const failed = this.#failure !== null;
    this.#failure ??= new FreshetError('state', 'the embedded log is closed');
    await this.#queue.idle();
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer);
    this.#syncTimer = null;
    await this.#syncs.idle();
    const changed = this.#commit !== this.#durableCommit;
    try {
      if (!failed) await this.sync();
      if (!failed && changed) await this.#beginTransactionLog();
    } finally {
      await Promise.all(this.#background);
      await this.#o.transactionLog.close();
    }
    return !failed;
  }
}
