/**
 * A task: fixed input partitions, their state, one changelog partition, one transactional id. It reads, folds, and
 * commits everything it writes together with its marker in one transaction. State is a function of the input log, so
 * after any end (crash, fencing, rebalance) another owner comes to the same bits:
 *
 *   init (fences the old owner) → restore (restore.ts) → live: fold, commit, now and then a checkpoint
 */

import type { Codec } from '../../schemas/codec.js';
import type { Log, LogReader, RecordColumns, TopicPartition, TransactionalWriter } from '../log/log.js';
import type { Clock } from '../process/clock.js';
import { FreshetError, hasCode, isTransient, messageOf } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import type { Metrics } from '../process/metrics.js';
import { Changelog } from './changelog.js';
import type { Checkpoints, TaskCheckpoints } from './checkpoints.js';
import { faultPoint } from './fault-points.js';
import { encodeMarker, MARKER_KEY, type Marker } from './marker.js';
import { taskMetrics } from './metrics.js';
import type { Part, ProcessorDeclaration } from './processor.js';
import { READER_WAIT_MS, restoreTask } from './restore.js';
import type { ColumnSink } from './state/saved-columns.js';
import { foldBatch, partOf, prepareBatch, startParts, type TrackedPart } from './tracked-part.js';

const COMMIT_RECORDS_MAX = 20_000;
const FLUSH_ROWS_MIN = 500;
const FLUSH_ROWS_MAX = 5_000;
/** A flush is spread over this share of its interval: all at once it would delay every live change behind it. */
const FLUSH_SHARE = 0.5;
const REOPEN_TRIES = 5;
const REOPEN_PAUSE_MS = 500;

export interface TaskOptions {
  readonly declaration: ProcessorDeclaration;
  readonly index: number;
  readonly inputs: readonly TopicPartition[];
  /** Partition count of the input topic. */
  readonly partitions: number;
  readonly log: Log;
  readonly codec: Codec;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly commitIntervalMs: number;
  readonly changelogIntervalMs: number;
  /** Without them it is restored from the changelog. */
  readonly checkpoints?: Checkpoints | null;
  /** Whether the group, asked now, still gives this task to this member; without a group it always does. */
  readonly isOurs?: () => Promise<boolean>;
  /** Called after every commit with the next input offset of each partition. */
  readonly onCommitted: (positions: readonly (TopicPartition & { offset: number })[]) => void;
}

export class Task {
  readonly name: string;
  readonly #o: TaskOptions;
  readonly #changelog: Changelog;
  readonly #checkpoints: TaskCheckpoints | null;
  #parts: TrackedPart[];
  #writer: TransactionalWriter | null = null;
  #reader: LogReader | null = null;
  #signal: AbortSignal | undefined;
  #incarnation = '';
  #sequence = 0;
  /** The newest acknowledged marker lies at this offset of the changelog or behind. */
  #changelogSeen = 0;
  #checkpointSequence = 0;
  #flushing = false;
  #flushedAt = 0;
  #flushRowsPerMs = 0;
  #foldedSinceCommit = 0;
  #movedSinceCommit = false;
  /** A flush or a sweep has ended with the last commit: its marker, written before, does not say so. */
  #markerIsOld = false;
  #committedAt = 0;
  #isClosed = false;
  #unsubscribe: (() => void)[] = [];

  constructor(options: TaskOptions) {
    const { declaration, index, log, codec, clock } = options;
    this.#o = options;
    this.name = `${declaration.application}.${declaration.name}-${index}`;
    const place = { topic: declaration.changelog, partition: index };
    this.#changelog = new Changelog({ task: this.name, place, log, codec, clock });
    this.#parts = this.#startParts();
    const canSave = this.#parts.every(({ part }) => part.save !== undefined && part.load !== undefined);
    const file = `${declaration.name}-${index}`;
    this.#checkpoints = canSave ? (options.checkpoints?.of(declaration.application, file, this.name) ?? null) : null;
  }

  get parts(): readonly Part[] {
    return this.#parts.map(({ part }) => part);
  }

  positions(): (TopicPartition & { offset: number })[] {
    return this.#parts.map(({ part, position }) => ({ ...part.input, offset: position }));
  }

  /**
   * Restores the state. Errors: those of restoreTask; 'fenced' when a newer owner has come; 'state' when the signal
   * aborts.
   */
  async restore(signal?: AbortSignal): Promise<void> {
    const started = performance.now();
    const { log, declaration, clock, logger, metrics } = this.#o;
    this.#signal = signal;
    await faultPoint('restore.begin', this.name);
    await this.#openWriter();
    await faultPoint('restore.fenced', this.name);
    const restored = await restoreTask({
      task: this.name,
      declaration,
      log,
      clock,
      logger,
      signal,
      changelog: this.#changelog,
      checkpoints: this.#checkpoints,
      startParts: () => this.#startParts(),
    });
    const { from, marker, replayed } = restored;
    this.#parts = restored.parts;
    this.#reader = restored.reader;
    this.#incarnation = restored.incarnation;
    this.#sequence = marker?.sequence ?? 0;
    this.#checkpointSequence = restored.checkpointSequence;
    this.#changelogSeen = restored.markerOffset;
    this.#flushedAt = clock.elapsed();
    this.#watchTables(marker);
    const seconds = (performance.now() - started) / 1000;
    taskMetrics(metrics).restoreSeconds.observe({ processor: declaration.name }, seconds);
    if (from === 'checkpoint') taskMetrics(metrics).checkpoints.inc({ outcome: 'loaded' });
    logger.info({
      event: 'task_restored',
      task: this.name,
      from,
      replayed,
      duration_seconds: seconds,
      positions: this.positions(),
    });
    this.#report();
  }

  #startParts(): TrackedPart[] {
    const { declaration, inputs, partitions, index } = this.#o;
    return startParts(declaration, inputs, partitions, index);
  }

  async #openWriter(): Promise<void> {
    const writer = await this.#o.log.transactionalWriter(this.name, this.#o.declaration.writes);
    this.#writer = writer;
    await writer.init();
    if (!this.#isClosed) return;
    await writer.close();
    throw new FreshetError('state', `${this.name}: it was closed`);
  }

  /** Tells the parts of every change from now on, and of those that the marker's commit has not shown. */
  #watchTables(marker: Marker | null): void {
    for (const table of this.#o.declaration.tables) {
      const changed = (key: string) => {
        for (const { part } of this.#parts) part.tableChanged(table.topic, key);
      };
      this.#unsubscribe.push(table.subscribe(changed));
      const shown = marker?.tables.find(({ topic }) => topic === table.topic)?.offsets ?? [];
      for (const key of table.changedSince(shown)) changed(key);
    }
  }

  /** Folds and commits until the signal aborts (then commits once more) or an error ends the task. */
  async run(signal: AbortSignal): Promise<void> {
    const { commitIntervalMs } = this.#o;
    this.#signal = signal;
    let polling: Promise<RecordColumns[]> | null = null;
    while (!signal.aborted) {
      polling ??= this.#reader!.poll();
      const waitMs = this.#foldedSinceCommit > 0 ? Math.max(0, commitIntervalMs - this.#sinceCommit()) : READER_WAIT_MS;
      const batches = await this.#pollFor(polling, waitMs, signal);
      if (batches !== null) {
        polling = null;
        for (const batch of batches) {
          await this.#fold(batch);
          if (this.#foldedSinceCommit >= COMMIT_RECORDS_MAX) await this.#commit();
        }
      }
      if (this.#commitIsDue()) await this.#commit();
    }
    if (polling !== null) polling.catch(() => undefined);
    if (this.#movedSinceCommit) await this.#commit();
  }

  /** Reads once and folds; for drivers that move time by hand. Returns the number of input rows. */
  async foldOnce(): Promise<number> {
    let rows = 0;
    for (const batch of await this.#reader!.poll()) {
      rows += batch.count;
      await this.#fold(batch);
    }
    return rows;
  }

  /** Commits if there is anything to write at this time; for drivers. Returns whether it did. */
  async commitIfDue(): Promise<boolean> {
    if (!this.#commitIsDue()) return false;
    await this.#commit();
    return true;
  }

  /** A last checkpoint of a task that has run and was stopped, unless the one before is fresh. */
  async checkpointAtStop(): Promise<void> {
    const checkpoints = this.#checkpoints;
    if (checkpoints?.isStale() && this.#hasNews()) await checkpoints.takeInTurn(...this.#checkpoint());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#unsubscribe.splice(0)) stop();
    const reader = this.#reader;
    const writer = this.#writer;
    this.#reader = null;
    this.#writer = null;
    await reader?.close();
    await writer?.close();
  }

  /** Null when nothing came within waitMs. */
  async #pollFor(
    polling: Promise<RecordColumns[]>,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<RecordColumns[] | null> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) return null;
      return await Promise.race([polling, this.#o.clock.sleep(waitMs, stop.signal).then(() => null)]);
    } finally {
      stop.abort();
      signal.removeEventListener('abort', abort);
    }
  }

  async #fold(batch: RecordColumns): Promise<void> {
    const { clock, logger } = this.#o;
    const tracked = partOf(this.#parts, batch);
    await prepareBatch(tracked, batch, { task: this.name, clock, logger, signal: this.#signal });
    foldBatch(tracked, batch);
    this.#foldedSinceCommit += batch.count;
    if (batch.count > 0) this.#movedSinceCommit = true;
  }

  #sinceCommit(): number {
    return this.#o.clock.elapsed() - this.#committedAt;
  }

  #commitIsDue(): boolean {
    if (this.#sinceCommit() < this.#o.commitIntervalMs) return false;
    if (this.#foldedSinceCommit > 0 || this.#flushing || this.#markerIsOld || this.#flushIsDue()) return true;
    const asOf = this.#asOf(this.#o.clock.now());
    return this.#parts.some(({ part }) => part.isDue(asOf));
  }

  #flushIsDue(): boolean {
    if (this.#o.clock.elapsed() - this.#flushedAt < this.#o.changelogIntervalMs) return false;
    return this.#parts.some(({ part, position, restoreFrom }) => part.dirtyRows > 0 || position > restoreFrom);
  }

  async #commit(): Promise<void> {
    await faultPoint('commit.begin', this.name);
    const { clock, metrics, declaration } = this.#o;
    const started = performance.now();
    const now = clock.now();
    const begunAt = clock.elapsed();
    const beginsFlush = !this.#flushing && this.#flushIsDue();
    const checkpoints = this.#checkpoints?.isDue() ? this.#checkpoints : null;
    const end = beginsFlush || checkpoints !== null ? await this.#changelogEnd() : null;
    if (beginsFlush) this.#beginFlush();
    const told = this.#parts.map(({ restoreFrom, part }) => ({ restoreFrom, sweptDay: part.sweptDay }));
    const sequence = this.#sequence + 1;
    await this.#writeUntilKnown(now, sequence);
    await faultPoint('commit.acknowledged', this.name);
    this.#sequence = sequence;
    this.#changelogSeen = end ?? this.#changelogSeen;
    for (const tracked of this.#parts) {
      tracked.part.committed();
      tracked.committed = tracked.position;
    }
    if (this.#flushing && this.#parts.every(({ part }) => part.flushComplete)) {
      this.#flushing = false;
      for (const tracked of this.#parts) {
        tracked.restoreFrom = tracked.flushFrom;
        tracked.restoreClock = tracked.flushClock;
      }
    }
    this.#markerIsOld = this.#parts.some(
      ({ restoreFrom, part }, i) => restoreFrom !== told[i]!.restoreFrom || part.sweptDay !== told[i]!.sweptDay,
    );
    this.#foldedSinceCommit = 0;
    this.#movedSinceCommit = false;
    this.#committedAt = begunAt;
    // Copied before anything else is folded, written while the task goes on.
    if (checkpoints?.isDue()) void checkpoints.take(...this.#checkpoint());
    taskMetrics(metrics).commits.inc({ processor: declaration.name });
    taskMetrics(metrics).commitSeconds.observe({ processor: declaration.name }, (performance.now() - started) / 1000);
    this.#report();
  }

  /** Whoever looks for the next marker later may begin here. Not worth failing for: null. */
  async #changelogEnd(): Promise<number | null> {
    try {
      return (await this.#changelog.offsets()).lastStable;
    } catch (error) {
      if (!isTransient(error)) throw error;
      return null;
    }
  }

  #beginFlush(): void {
    this.#flushing = true;
    this.#flushedAt = this.#o.clock.elapsed();
    const dirty = this.#parts.reduce((most, { part }) => Math.max(most, part.dirtyRows), 0);
    this.#flushRowsPerMs = dirty / (FLUSH_SHARE * this.#o.changelogIntervalMs);
    for (const tracked of this.#parts) {
      tracked.part.beginFlush(tracked.restoreFrom);
      tracked.flushFrom = tracked.position;
      tracked.flushClock = tracked.part.clock;
    }
  }

  /** Resolves when the commit is in the log for certain. */
  async #writeUntilKnown(now: number, sequence: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#write(now, sequence);
      await faultPoint('commit.written', this.name);
      try {
        await this.#writer!.commit();
        return;
      } catch (error) {
        if (!hasCode(error, 'indefinite_commit') || attempt > REOPEN_TRIES || this.#isClosed) throw error;
        this.#o.logger.warn({ event: 'commit_outcome_unknown', task: this.name, sequence, error: messageOf(error) });
        if (await this.#settle(sequence)) return;
      }
    }
  }

  #write(now: number, sequence: number): void {
    const writer = this.#writer!;
    const flushRows = Math.ceil(this.#flushRowsPerMs * this.#sinceCommit());
    const flushMax = Math.min(Math.max(flushRows, FLUSH_ROWS_MIN), FLUSH_ROWS_MAX);
    const asOf = this.#asOf(now);
    for (const { part, position } of this.#parts) {
      part.emit(asOf, writer);
      if (this.#flushing) part.flush(flushMax, position, writer);
    }
    const { topic, partition } = this.#changelog.place;
    const marker = encodeMarker(this.#marker(sequence), this.#o.codec);
    writer.add(topic, MARKER_KEY, marker, { partition, timestamp: now });
  }

  /** The wall clock, but never below what the log has seen. */
  #asOf(now: number): number {
    return this.#parts.reduce((latest, { part }) => Math.max(latest, part.clock), now);
  }

  #marker(sequence: number): Marker {
    return {
      application: this.#o.declaration.application,
      task: this.#o.index,
      incarnation: this.#incarnation,
      fingerprint: this.#o.declaration.fingerprint,
      sequence,
      parts: this.#parts.map((tracked) => ({
        ...tracked.part.input,
        offset: tracked.position,
        clock: tracked.part.clock,
        restore_from: tracked.restoreFrom,
        restore_clock: tracked.restoreClock,
        oldest_due: tracked.part.oldestDue(tracked.position),
        swept_day: tracked.part.sweptDay,
      })),
      tables: this.#o.declaration.tables.map((table) => ({ topic: table.topic, offsets: table.positions() })),
    };
  }

  /**
   * After a commit whose outcome is unknown: whether it took effect. Memory stays valid either way, so a broker that is
   * away for however long costs no restore.
   */
  async #settle(sequence: number): Promise<boolean> {
    for (;;) {
      try {
        return await this.#tookEffect(sequence);
      } catch (error) {
        if (!isTransient(error) || this.#isClosed || this.#signal?.aborted) throw error;
        this.#o.logger.warn({ event: 'commit_outcome_unknown', task: this.name, sequence, error: messageOf(error) });
        await this.#o.clock.sleep(REOPEN_PAUSE_MS, this.#signal);
      }
    }
  }

  /**
   * A new writer ends the transaction one way or the other, and the newest marker tells which. The group is asked first:
   * a process that was stopped for long would fence its healthy successor.
   */
  async #tookEffect(sequence: number): Promise<boolean> {
    await this.#writer?.close();
    const isOurs = (await this.#o.isOurs?.()) ?? true;
    if (!isOurs || this.#isClosed)
      throw new FreshetError('fenced', `${this.name}: the group has given it away meanwhile`);
    await this.#openWriter();
    const end = await this.#changelog.stableEnd(this.#signal);
    const newest = (await this.#changelog.newestMarker(this.#changelogSeen, end))?.marker;
    const last = newest?.sequence ?? 0;
    if (last > sequence || (newest !== undefined && newest.incarnation !== this.#incarnation))
      throw new FreshetError('fenced', `${this.name}: another owner has committed meanwhile`);
    if (last < this.#sequence)
      throw new FreshetError(
        'indefinite_commit',
        `${this.name}: the changelog has lost a commit that was acknowledged`,
      );
    return last === sequence;
  }

  /** Whether a checkpoint taken now would hold all that is in memory, and more than the last one. */
  #hasNews(): boolean {
    return this.#sequence > this.#checkpointSequence && this.#foldedSinceCommit === 0;
  }

  /** What a checkpoint says of itself, and how to put the state aside. */
  #checkpoint(): Parameters<TaskCheckpoints['take']> {
    this.#checkpointSequence = this.#sequence;
    const header = {
      application: this.#o.declaration.application,
      task: this.name,
      fingerprint: this.#o.declaration.fingerprint,
      incarnation: this.#incarnation,
      sequence: this.#sequence,
      changelog_offset: this.#changelogSeen,
      parts: this.#parts.map(({ part, committed }) => ({
        ...part.input,
        offset: committed,
        clock: part.clock,
        swept_day: part.sweptDay,
      })),
    };
    const save = (into: ColumnSink) => {
      for (const [i, { part }] of this.#parts.entries()) part.save!(into.within(String(i)));
    };
    return [header, save];
  }

  #report(): void {
    for (const { part, position } of this.#parts)
      taskMetrics(this.#o.metrics).position.set(
        { processor: this.#o.declaration.name, partition: String(part.input.partition) },
        position,
      );
    this.#o.onCommitted(this.positions());
  }
}
