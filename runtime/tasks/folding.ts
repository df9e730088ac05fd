/**
 * The work of a task of folds: one part per input partition, folded batch by batch in memory. State is a function of
 * the input log, so after any failure the next owner arrives at the same bits. What the changelog lacks is flushed
 * regularly, spread over commits; a checkpoint is a copy of the whole state right after a commit.
 */
import type { RecordColumns } from '../log/log.js';
import type { Changelog } from './changelog.js';
import type { TaskCheckpoints } from './checkpoints.js';
import type { Marker } from './marker.js';
import { taskMetrics } from './metrics.js';
import type { Output, Part, ProcessorDeclaration } from './processor.js';
import { restoreTask } from './restore.js';
import type { ColumnSink } from './state/saved-columns.js';
import type { InputOffset, TaskOptions } from './task-options.js';
import type { CommitPoint, MarkerContent } from './task-writer.js';
import { foldBatch, partOf, prepareBatch, startParts, type TrackedPart } from './tracked-part.js';
import type { RestoredWork, Work } from './work.js';

const COMMIT_RECORDS_MAX = 20_000;
const FLUSH_ROWS_MIN = 500;
const FLUSH_ROWS_MAX = 5_000;
/** A flush is spread over this share of its interval: in one piece it would delay all live changes. */
const FLUSH_SHARE = 0.5;

export class Folding implements Work {
  readonly #task: string;
  readonly #o: TaskOptions;
  readonly #declaration: ProcessorDeclaration;
  readonly #checkpoints: TaskCheckpoints | null;
  #parts: TrackedPart[];
  #at: CommitPoint | null = null;
  /** Sequence of the newest commit that a checkpoint contains. */
  #checkpointSequence = 0;
  #changelogId: string | null = null;
  #foldedSinceCommit = 0;
  #isFlushing = false;
  #flushedAt = 0;
  #flushRowsPerMs = 0;
  /** Rows that the commit in progress may flush. */
  #flushMax = 0;
  #takesCheckpoint = false;
  /** Per part, what the marker in progress says about flush and sweep. */
  #saidByMarker: { readonly restoreFrom: number; readonly sweptDay: number }[] = [];
  /** A flush or a sweep ended with the last commit, whose marker was written before that and does not say so. */
  #markerIsOld = false;
  readonly #unsubscribe: (() => void)[] = [];

  constructor(task: string, options: TaskOptions, declaration: ProcessorDeclaration) {
    this.#task = task;
    this.#o = options;
    this.#declaration = declaration;
    this.#parts = this.#startParts();
    const canSave = this.parts.every(({ save, load }) => save !== undefined && load !== undefined);
    const file = `${declaration.name}-${options.index}`;
    this.#checkpoints = canSave ? (options.checkpoints?.of(declaration.application, file, task) ?? null) : null;
  }

  get parts(): readonly Part[] {
    return this.#parts.map(({ part }) => part);
  }

  positions(): InputOffset[] {
    return this.#parts.map(({ part, position }) => ({ ...part.input, offset: position }));
  }

  /** Errors: those of restoreTask. */
  async restore(changelog: Changelog, signal: AbortSignal | undefined): Promise<RestoredWork> {
    const { clock, metrics, log } = this.#o;
    this.#changelogId = await log.admin.topicId(this.#declaration.changelog);
    const restored = await restoreTask({
      ...this.#o,
      task: this.#task,
      declaration: this.#declaration,
      signal,
      changelog,
      checkpoints: this.#checkpoints,
      changelogId: this.#changelogId,
      startParts: () => this.#startParts(),
    });
    const { from, marker, incarnation, replayed } = restored;
    const at = { incarnation, sequence: marker?.sequence ?? 0, changelogOffset: restored.markerOffset };
    this.#parts = restored.parts;
    this.#at = at;
    this.#checkpointSequence = restored.checkpointSequence;
    this.#flushedAt = clock.elapsed();
    this.#watchTables(marker);
    if (from === 'checkpoint') taskMetrics(metrics).checkpoints.inc({ outcome: 'loaded' });
    return { at, figures: { from, replayed, positions: this.positions() } };
  }

  #startParts(): TrackedPart[] {
    const { inputs, partitions, index } = this.#o;
    return startParts(this.#declaration, inputs, partitions, index);
  }

  /** From now on parts are notified of every change, and now of those that the marker's commit did not include. */
  #watchTables(marker: Marker | null): void {
    for (const table of this.#declaration.tables) {
      const changed = (key: string) => {
        for (const { part } of this.#parts) part.tableChanged(table.topic, key);
      };
      this.#unsubscribe.push(table.subscribe(changed));
      const shown = marker?.tables.find(({ topic }) => topic === table.topic)?.offsets ?? [];
      for (const key of table.changedSince(shown)) changed(key);
    }
  }

  /** Folds the entire batch. */
  async take(batch: RecordColumns, _row: number, signal: AbortSignal | undefined): Promise<number> {
    const { clock, logger } = this.#o;
    const tracked = partOf(this.#parts, batch);
    await prepareBatch(tracked.part, batch, { task: this.#task, clock, logger, signal });
    foldBatch(tracked, batch);
    this.#foldedSinceCommit += batch.count;
    return batch.count;
  }

  get hasNews(): boolean {
    return this.#foldedSinceCommit > 0;
  }

  get isFull(): boolean {
    return this.#foldedSinceCommit >= COMMIT_RECORDS_MAX;
  }

  isDue(now: number): boolean {
    if (this.hasNews || this.#isFlushing || this.#markerIsOld || this.#flushIsDue()) return true;
    const asOf = this.#asOf(now);
    return this.#parts.some(({ part }) => part.isDue(asOf));
  }

  #flushIsDue(): boolean {
    if (this.#o.clock.elapsed() - this.#flushedAt < this.#o.changelogIntervalMs) return false;
    return this.#parts.some(({ part, position, restoreFrom }) => part.dirtyRows > 0 || position > restoreFrom);
  }

  beginCommit(sinceCommitMs: number): boolean {
    const beginsFlush = !this.#isFlushing && this.#flushIsDue();
    if (beginsFlush) this.#beginFlush();
    const flushRows = Math.ceil(this.#flushRowsPerMs * sinceCommitMs);
    this.#flushMax = Math.min(Math.max(flushRows, FLUSH_ROWS_MIN), FLUSH_ROWS_MAX);
    this.#takesCheckpoint = this.#checkpoints?.isDue() ?? false;
    this.#saidByMarker = this.#parts.map(({ restoreFrom, part }) => ({ restoreFrom, sweptDay: part.sweptDay }));
    return beginsFlush || this.#takesCheckpoint;
  }

  #beginFlush(): void {
    this.#isFlushing = true;
    this.#flushedAt = this.#o.clock.elapsed();
    const dirty = this.#parts.reduce((most, { part }) => Math.max(most, part.dirtyRows), 0);
    this.#flushRowsPerMs = dirty / (FLUSH_SHARE * this.#o.changelogIntervalMs);
    for (const tracked of this.#parts) {
      tracked.part.beginFlush(tracked.restoreFrom);
      tracked.flushFrom = tracked.position;
      tracked.flushClock = tracked.part.clock;
    }
  }

  write(now: number, out: Output): MarkerContent {
    const asOf = this.#asOf(now);
    for (const { part, position } of this.#parts) {
      part.emit(asOf, out);
      if (this.#isFlushing) part.flush(this.#flushMax, position, out);
    }
    const { fingerprint, tables } = this.#declaration;
    return {
      fingerprint,
      parts: this.#parts.map(({ part, position, restoreFrom, restoreClock }) => ({
        ...part.input,
        offset: position,
        clock: part.clock,
        restore_from: restoreFrom,
        restore_clock: restoreClock,
        oldest_due: part.oldestDue(position),
        swept_day: part.sweptDay,
      })),
      tables: tables.map((table) => ({ topic: table.topic, offsets: table.positions() })),
    };
  }

  /** The wall clock, but never below the log time seen so far. */
  #asOf(now: number): number {
    return this.#parts.reduce((latest, { part }) => Math.max(latest, part.clock), now);
  }

  committed(at: CommitPoint): void {
    this.#at = at;
    for (const tracked of this.#parts) {
      tracked.part.committed();
      tracked.committed = tracked.position;
    }
    if (this.#isFlushing && this.#parts.every(({ part }) => part.flushComplete)) this.#endFlush();
    this.#markerIsOld = this.#parts.some(({ restoreFrom, part }, i) => {
      const said = this.#saidByMarker[i]!;
      return restoreFrom !== said.restoreFrom || part.sweptDay !== said.sweptDay;
    });
    this.#foldedSinceCommit = 0;
    // Copied before anything else is folded, written while the task continues.
    if (this.#takesCheckpoint && this.#checkpoints!.isDue()) void this.#checkpoints!.take(...this.#checkpoint(at));
  }

  #endFlush(): void {
    this.#isFlushing = false;
    for (const tracked of this.#parts) {
      tracked.restoreFrom = tracked.flushFrom;
      tracked.restoreClock = tracked.flushClock;
    }
  }

  async checkpointAtStop(): Promise<void> {
    const [checkpoints, at] = [this.#checkpoints, this.#at];
    if (checkpoints === null || at === null || !checkpoints.isStale()) return;
    const holdsAll = !this.hasNews;
    if (holdsAll && at.sequence > this.#checkpointSequence) await checkpoints.takeInTurn(...this.#checkpoint(at));
  }

  /** The header of a checkpoint, and the function that copies the state. */
  #checkpoint(at: CommitPoint): Parameters<TaskCheckpoints['take']> {
    this.#checkpointSequence = at.sequence;
    const { application, fingerprint } = this.#declaration;
    const header = {
      application,
      task: this.#task,
      fingerprint,
      incarnation: at.incarnation,
      changelog_id: this.#changelogId,
      sequence: at.sequence,
      changelog_offset: at.changelogOffset,
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

  async close(): Promise<void> {
    for (const stop of this.#unsubscribe.splice(0)) stop();
  }
}
