/**
 * A task: fixed input partitions, their state, one changelog partition, one transactional id. It reads, folds, and
 * commits everything it writes together with its marker in one transaction. State is a function of the input log, so
 * after any end (crash, fencing, rebalance) another owner comes to the same bits:
 *
 *   init (fences the old owner) → changelog has no open transaction → read the changelog → read the input from where the
 *   last complete flush began to the marker, folding without emitting → live.
 */
import { randomUUID } from 'node:crypto';
import type { Codec } from '../schemas/codec.js';
import type { Clock } from './clock.js';
import { FreshetError, hasCode } from './errors.js';
import type { Log, LogReader, RecordColumns, TopicPartition, TransactionalWriter } from './log.js';
import type { Logger } from './logger.js';
import { decodeMarker, encodeMarker, isMarker, MARKER_KEY, type Marker } from './marker.js';
import type { Metrics } from './metrics.js';
import { type FoldMode, LIVE, type Part, type ProcessorDeclaration } from './processor.js';

const READER_WAIT_MS = 250;
const COMMIT_RECORDS_MAX = 20_000;
const FLUSH_ROWS_MIN = 500;
const FLUSH_ROWS_MAX = 5_000;
/** A flush is spread over this share of its interval: all at once it would delay every live change behind it. */
const FLUSH_SHARE = 0.5;
/** Transaction time-out of a vanished owner (5 s), the broker's own check interval (10 s), and some. */
const STABLE_WAIT_MS = 30_000;
const REOPEN_TRIES = 5;

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
  /** Called after every commit with the next input offset of each partition. */
  readonly onCommitted: (positions: readonly (TopicPartition & { offset: number })[]) => void;
}

interface PartProgress {
  readonly part: Part;
  position: number;
  restoreFrom: number;
  restoreClock: number;
  /** Position and clock when the running flush began. */
  flushFrom: number;
  flushClock: number;
  /** While restoring: the marker's offset, where live rows begin. */
  liveFrom: number;
  mode: FoldMode;
}

export class Task {
  readonly #o: TaskOptions;
  readonly #changelog: TopicPartition;
  readonly #parts: PartProgress[];
  #writer: TransactionalWriter | null = null;
  #reader: LogReader | null = null;
  #incarnation = '';
  #sequence = 0;
  #changelogSeen = 0;
  #flushing = false;
  #flushedAt = 0;
  #flushRowsPerMs = 0;
  #foldedSinceCommit = 0;
  #movedSinceCommit = false;
  #committedAt = 0;
  #unsubscribe: (() => void)[] = [];

  constructor(options: TaskOptions) {
    this.#o = options;
    this.#changelog = { topic: options.declaration.changelog, partition: options.index };
    this.#parts = options.inputs.map((input) => ({
      part: options.declaration.createPart({
        input,
        partitions: options.partitions,
        changelogPartition: options.index,
      }),
      position: 0,
      restoreFrom: 0,
      restoreClock: -1,
      flushFrom: 0,
      flushClock: -1,
      liveFrom: 0,
      mode: LIVE,
    }));
  }

  get name(): string {
    return `${this.#o.declaration.application}.${this.#o.declaration.name}-${this.#o.index}`;
  }

  get parts(): readonly Part[] {
    return this.#parts.map(({ part }) => part);
  }

  positions(): (TopicPartition & { offset: number })[] {
    return this.#parts.map(({ part, position }) => ({ ...part.input, offset: position }));
  }

  /**
   * Restores the state. Errors: 'fenced' when a newer owner has come; 'state' when the changelog belongs to other folds
   * or settings, or is held by a hanging transaction; 'offset_out_of_range' when the input no longer holds what is needed.
   */
  async restore(): Promise<void> {
    const started = performance.now();
    const { log, declaration, clock } = this.#o;
    this.#writer = await log.transactionalWriter(this.name, declaration.writes);
    await this.#writer.init();
    const end = await this.#stableEnd();
    const marker = await this.#readChangelog(end);
    this.#changelogSeen = end;
    await this.#startPositions(marker);
    for (const table of declaration.tables) {
      this.#unsubscribe.push(
        table.subscribe((key) => {
          for (const { part } of this.#parts) part.tableChanged(table.topic, key);
        }),
      );
    }
    await this.#replay();
    const now = clock.now();
    for (const progress of this.#parts) {
      const at = marker?.parts.find(
        (p) => p.topic === progress.part.input.topic && p.partition === progress.part.input.partition,
      );
      progress.part.endRestore(at?.clock ?? -1, at?.swept_day ?? -1, now);
      progress.mode = LIVE;
    }
    for (const table of declaration.tables) {
      const seen = marker?.tables.find((t) => t.topic === table.topic)?.offsets ?? [];
      for (const key of table.changedSince(seen))
        for (const { part } of this.#parts) part.tableChanged(table.topic, key);
    }
    const seconds = (performance.now() - started) / 1000;
    this.#o.metrics.restoreSeconds.observe({ processor: declaration.name }, seconds);
    this.#o.logger.info({
      event: 'task_restored',
      task: this.name,
      duration_seconds: seconds,
      positions: this.positions(),
    });
    this.#flushedAt = now;
    this.#report();
  }

  /** Folds and commits until the signal aborts (then commits once more) or an error ends the task. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, commitIntervalMs } = this.#o;
    let polling: Promise<RecordColumns[]> | null = null;
    while (!signal.aborted) {
      polling ??= this.#reader!.poll();
      const now = clock.now();
      const waitMs =
        this.#foldedSinceCommit > 0 ? Math.max(0, this.#committedAt + commitIntervalMs - now) : READER_WAIT_MS;
      const batches = await this.#pollFor(polling, waitMs, signal);
      if (batches !== null) {
        polling = null;
        for (const batch of batches) {
          await this.#fold(batch);
          if (this.#foldedSinceCommit >= COMMIT_RECORDS_MAX) await this.#commit();
        }
      }
      if (this.#commitIsDue(clock.now())) await this.#commit();
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
    if (!this.#commitIsDue(this.#o.clock.now())) return false;
    await this.#commit();
    return true;
  }

  async close(): Promise<void> {
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
    const progress = this.#parts.find(
      ({ part }) => part.input.partition === batch.partition && part.input.topic === batch.topic,
    )!;
    if (batch.count > 0) {
      await progress.part.prepare(batch);
      progress.part.fold(batch, 0, batch.count, progress.mode);
      if (!progress.mode.restoring) this.#foldedSinceCommit += batch.count;
    }
    if (batch.nextOffset > progress.position) {
      progress.position = batch.nextOffset;
      if (!progress.mode.restoring && batch.count > 0) this.#movedSinceCommit = true;
    }
  }

  #commitIsDue(now: number): boolean {
    if (this.#foldedSinceCommit > 0) return now - this.#committedAt >= this.#o.commitIntervalMs;
    if (now - this.#committedAt < this.#o.commitIntervalMs) return false;
    return this.#flushing || this.#flushIsDue(now) || this.#parts.some(({ part }) => part.isDue(now));
  }

  #flushIsDue(now: number): boolean {
    if (now - this.#flushedAt < this.#o.changelogIntervalMs) return false;
    return this.#parts.some(({ part, position, restoreFrom }) => part.dirtyRows > 0 || position > restoreFrom);
  }

  async #commit(): Promise<void> {
    const { clock, metrics, declaration } = this.#o;
    const started = performance.now();
    const now = clock.now();
    if (!this.#flushing && this.#flushIsDue(now)) {
      this.#flushing = true;
      this.#flushedAt = now;
      const dirty = this.#parts.reduce((most, { part }) => Math.max(most, part.dirtyRows), 0);
      this.#flushRowsPerMs = dirty / (FLUSH_SHARE * this.#o.changelogIntervalMs);
      for (const progress of this.#parts) {
        progress.part.beginFlush();
        progress.flushFrom = progress.position;
        progress.flushClock = progress.part.clock;
      }
      this.#changelogSeen = (await this.#o.log.offsets(this.#changelog)).lastStable;
    }
    const sequence = this.#sequence + 1;
    for (let attempt = 1; ; attempt++) {
      this.#write(now, sequence);
      try {
        await this.#writer!.commit();
        break;
      } catch (error) {
        if (!hasCode(error, 'indefinite_commit') || attempt > REOPEN_TRIES) throw error;
        this.#o.logger.warn({ event: 'commit_outcome_unknown', task: this.name, sequence, error: String(error) });
        if (await this.#tookEffect(sequence)) break;
      }
    }
    this.#sequence = sequence;
    for (const { part } of this.#parts) part.committed();
    if (this.#flushing && this.#parts.every(({ part }) => part.flushComplete)) {
      this.#flushing = false;
      for (const progress of this.#parts) {
        progress.restoreFrom = progress.flushFrom;
        progress.restoreClock = progress.flushClock;
      }
    }
    this.#foldedSinceCommit = 0;
    this.#movedSinceCommit = false;
    this.#committedAt = now;
    metrics.commits.inc({ processor: declaration.name });
    metrics.commitSeconds.observe({ processor: declaration.name }, (performance.now() - started) / 1000);
    this.#report();
  }

  #write(now: number, sequence: number): void {
    const writer = this.#writer!;
    const flushRows = Math.ceil(this.#flushRowsPerMs * (now - this.#committedAt));
    const flushMax = Math.min(Math.max(flushRows, FLUSH_ROWS_MIN), FLUSH_ROWS_MAX);
    const asOf = this.#parts.reduce((latest, { part }) => Math.max(latest, part.clock), now);
    for (const { part, position } of this.#parts) {
      part.emit(asOf, writer);
      if (this.#flushing) part.flush(flushMax, position, writer);
    }
    writer.add(this.#changelog.topic, MARKER_KEY, encodeMarker(this.#marker(sequence), this.#o.codec), {
      partition: this.#changelog.partition,
      timestamp: now,
    });
  }

  #marker(sequence: number): Marker {
    return {
      application: this.#o.declaration.application,
      task: this.#o.index,
      incarnation: this.#incarnation,
      fingerprint: this.#o.declaration.fingerprint,
      sequence,
      parts: this.#parts.map((progress) => ({
        ...progress.part.input,
        offset: progress.position,
        clock: progress.part.clock,
        restore_from: progress.restoreFrom,
        restore_clock: progress.restoreClock,
        oldest_due: progress.part.oldestDue(progress.position),
        swept_day: progress.part.sweptDay,
      })),
      tables: this.#o.declaration.tables.map((table) => ({ topic: table.topic, offsets: table.positions() })),
    };
  }

  /**
   * After a commit whose outcome is unknown: a new writer ends the transaction one way or the other, and the newest
   * marker tells which. Memory stays valid either way, so a broker restart costs no restore.
   */
  async #tookEffect(sequence: number): Promise<boolean> {
    await this.#writer!.close();
    this.#writer = await this.#o.log.transactionalWriter(this.name, this.#o.declaration.writes);
    await this.#writer.init();
    const end = await this.#stableEnd();
    let newest: Marker | null = null;
    await this.#readTo(end, this.#changelogSeen, (batch, row) => {
      if (isMarker(batch, row)) newest = decodeMarker(batch, row, this.#o.codec);
    });
    const found = newest as Marker | null;
    const last = found?.sequence ?? this.#sequence;
    if (found !== null && (found.incarnation !== this.#incarnation || last > sequence))
      throw new FreshetError('fenced', `${this.name}: another owner has committed meanwhile`);
    return last === sequence;
  }

  /** Waits until the changelog has no open transaction and returns its end. */
  async #stableEnd(): Promise<number> {
    const { clock, log } = this.#o;
    const deadline = clock.now() + STABLE_WAIT_MS;
    for (;;) {
      const { lastStable, highWatermark } = await log.offsets(this.#changelog);
      if (lastStable >= highWatermark) return highWatermark;
      if (clock.now() > deadline)
        throw new FreshetError(
          'state',
          `${this.name}: a transaction of another producer hangs in ${this.#changelog.topic}[${this.#changelog.partition}] ` +
            `at offset ${lastStable}; end it with "kafka-transactions.sh abort", then restart`,
        );
      await clock.sleep(50);
    }
  }

  async #readChangelog(end: number): Promise<Marker | null> {
    let marker: Marker | null = null;
    for (const { part } of this.#parts) part.beginRestore();
    const { earliest } = await this.#o.log.offsets(this.#changelog);
    await this.#readTo(end, earliest, (batch, row) => {
      if (isMarker(batch, row)) marker = decodeMarker(batch, row, this.#o.codec);
      else for (const { part } of this.#parts) part.restoreRow(batch, row);
    });
    return marker;
  }

  async #readTo(end: number, start: number, visit: (batch: RecordColumns, row: number) => void): Promise<void> {
    if (start >= end) return;
    const reader = this.#o.log.reader([{ ...this.#changelog, offset: start }], { isolation: 'read_committed' });
    try {
      while (reader.position(this.#changelog) < end) {
        for (const batch of await reader.poll()) for (let row = 0; row < batch.count; row++) visit(batch, row);
      }
    } finally {
      await reader.close();
    }
  }

  async #startPositions(marker: Marker | null): Promise<void> {
    const { log, declaration } = this.#o;
    if (marker !== null && marker.fingerprint !== declaration.fingerprint)
      throw new FreshetError(
        'state',
        `${this.name}: its state was made by other folds or settings and cannot go on.\n  state: ${marker.fingerprint}\n` +
          `  code:  ${declaration.fingerprint}\nSet the settings back, or start the next version by replay.`,
      );
    this.#incarnation = marker?.incarnation ?? randomUUID();
    this.#sequence = marker?.sequence ?? 0;
    const starts: (TopicPartition & { offset: number })[] = [];
    for (const progress of this.#parts) {
      const { input } = progress.part;
      const available = await log.offsets(input);
      const at = marker?.parts.find((p) => p.topic === input.topic && p.partition === input.partition);
      if (at === undefined) {
        if (marker !== null)
          throw new FreshetError(
            'state',
            `${this.name}: its marker knows nothing of ${input.topic}[${input.partition}]`,
          );
        progress.position = available.earliest;
        progress.restoreFrom = available.earliest;
        progress.liveFrom = available.earliest;
      } else {
        if (at.offset > available.highWatermark)
          throw new FreshetError(
            'offset_out_of_range',
            `${this.name} has read ${input.topic}[${input.partition}] to ${at.offset}, but it ends at ` +
              `${available.highWatermark}: the topic was truncated or made anew. Offsets are never reset; replay into the next version.`,
          );
        progress.restoreFrom = at.restore_from;
        progress.restoreClock = at.restore_clock;
        progress.liveFrom = at.offset;
        const horizon = progress.part.replayHorizon(at.restore_clock);
        const ids = horizon === null ? null : await log.offsetForTime(input, horizon);
        progress.position = Math.min(at.restore_from, at.oldest_due, ids ?? at.restore_from);
        progress.mode = { restoring: true, stateFrom: at.restore_from, dueFrom: at.oldest_due };
      }
      starts.push({ ...input, offset: progress.position });
    }
    this.#reader = log.reader(starts, { isolation: 'read_committed', maxWaitMs: READER_WAIT_MS });
  }

  /** Reads every part up to its marker. Rows beyond it are left for the live reader, which starts there anew. */
  async #replay(): Promise<void> {
    const behind = () => this.#parts.some((progress) => progress.position < progress.liveFrom);
    if (!behind()) return;
    while (behind()) {
      for (const batch of await this.#reader!.poll()) await this.#fold(cutAt(batch, this.#liveFrom(batch)));
    }
    await this.#reader!.close();
    for (const progress of this.#parts) progress.position = progress.liveFrom;
    this.#reader = this.#o.log.reader(
      this.#parts.map(({ part, position }) => ({ ...part.input, offset: position })),
      { isolation: 'read_committed', maxWaitMs: READER_WAIT_MS },
    );
  }

  #liveFrom(batch: RecordColumns): number {
    return this.#parts.find(({ part }) => part.input.partition === batch.partition && part.input.topic === batch.topic)!
      .liveFrom;
  }

  #report(): void {
    for (const { part, position } of this.#parts)
      this.#o.metrics.taskPosition.set(
        { processor: this.#o.declaration.name, partition: String(part.input.partition) },
        position,
      );
    this.#o.onCommitted(this.positions());
  }
}

/** The rows below an offset. */
function cutAt(batch: RecordColumns, offset: number): RecordColumns {
  let count = batch.count;
  while (count > 0 && batch.offsets[count - 1]! >= offset) count--;
  return count === batch.count ? batch : { ...batch, count, nextOffset: offset };
}
