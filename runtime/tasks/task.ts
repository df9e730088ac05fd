/**
 * A task: fixed input partitions, one changelog partition, one transactional id. It reads, passes the records to its
 * work, and commits the outcome together with its marker in one transaction (task-writer.ts).
 *
 *   init (fences the old owner) → restore → live: take, commit
 */
import type { LogReader, RecordColumns } from '../log/log.js';
import type { AwaitedDeclaration } from './awaited-work.js';
import { Awaiting } from './awaiting.js';
import { Changelog } from './changelog.js';
import { faultPoint } from './fault-points.js';
import { Folding } from './folding.js';
import { taskMetrics } from './metrics.js';
import type { Part, ProcessorDeclaration } from './processor.js';
import type { InputOffset, TaskOptions } from './task-options.js';
import { TaskWriter } from './task-writer.js';
import type { Work } from './work.js';

const READER_WAIT_MS = 250;
/** Records wait for the next commit anyway, 100 ms apart by default. */
const READER_GAP_MS = 25;

/** The two kinds of work: folds, and outcomes that are awaited. */
export type AnyDeclaration = ProcessorDeclaration | AwaitedDeclaration;

export class Task {
  readonly name: string;
  readonly #o: TaskOptions;
  readonly #changelog: Changelog;
  readonly #writer: TaskWriter;
  readonly #work: Work;
  #reader: LogReader | null = null;
  #signal: AbortSignal | undefined;
  #committedAt = 0;

  constructor(options: TaskOptions<AnyDeclaration>) {
    const { declaration, index, log, codec, clock } = options;
    this.#o = options;
    this.name = `${declaration.application}.${declaration.name}-${index}`;
    const place = { topic: declaration.changelog, partition: index };
    this.#changelog = new Changelog({ task: this.name, place, log, codec, clock });
    this.#writer = new TaskWriter({ ...options, task: this.name, changelog: this.#changelog });
    this.#work =
      'createWork' in declaration
        ? new Awaiting(this.name, options, declaration)
        : new Folding(this.name, options, declaration);
  }

  get parts(): readonly Part[] {
    return this.#work.parts;
  }

  positions(): InputOffset[] {
    return this.#work.positions();
  }

  /**
   * Restores the state. Errors: those of its work; 'fenced' when a newer owner has taken over; 'state' when the signal
   * aborts.
   */
  async restore(signal?: AbortSignal): Promise<void> {
    const started = performance.now();
    const { log, declaration, logger, metrics } = this.#o;
    this.#signal = signal;
    await faultPoint('restore.begin', this.name);
    await this.#writer.open();
    await faultPoint('restore.fenced', this.name);
    const { at, figures } = await this.#work.restore(this.#changelog, signal);
    this.#writer.goOnFrom(at);
    await faultPoint('restore.replayed', this.name);
    this.#reader = log.reader(this.positions(), {
      isolation: 'read_committed',
      maxWaitMs: READER_WAIT_MS,
      gapMs: READER_GAP_MS,
    });
    const seconds = (performance.now() - started) / 1000;
    taskMetrics(metrics).restoreSeconds.observe({ processor: declaration.name }, seconds);
    logger.info({ event: 'task_restored', task: this.name, ...figures, duration_seconds: seconds });
    this.#report();
  }

  /** Takes records and commits until the signal aborts (then commits once more) or an error ends the task. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    let polling: Promise<RecordColumns[]> | null = null;
    while (!signal.aborted) {
      polling ??= this.#reader!.poll();
      const batches = await this.#pollFor(polling, signal);
      if (batches !== null) {
        polling = null;
        for (const batch of batches) if (!signal.aborted) await this.#take(batch);
      }
      if (!signal.aborted) await this.#work.proceed?.(signal);
      if (this.#work.isFull || this.#commitIsDue()) await this.#commit();
    }
    if (polling !== null) polling.catch(() => undefined);
    if (this.#work.hasNews) await this.#commit();
  }

  /** Reads once and folds; for drivers that move time by hand. Returns the number of input rows. */
  async foldOnce(): Promise<number> {
    let rows = 0;
    for (const batch of await this.#reader!.poll()) rows += await this.#work.take(batch, 0, this.#signal);
    return rows;
  }

  /** Commits if there is anything to write at this time; for drivers. Returns whether it did. */
  async commitIfDue(): Promise<boolean> {
    if (!this.#commitIsDue()) return false;
    await this.#commit();
    return true;
  }

  /** A last checkpoint of a task that was running and is stopped, unless the previous one is recent. */
  async checkpointAtStop(): Promise<void> {
    await this.#work.checkpointAtStop?.();
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await this.#work.close();
    await reader?.close();
    await this.#writer.close();
  }

  /** Null if nothing arrived before there may be other work to do. */
  async #pollFor(polling: Promise<RecordColumns[]>, signal: AbortSignal): Promise<RecordColumns[] | null> {
    const { clock, commitIntervalMs } = this.#o;
    const work = this.#work;
    const untilCommitMs = Math.max(0, commitIntervalMs - this.#sinceCommit());
    const waitMs = work.hasBacklog ? 0 : work.hasNews ? untilCommitMs : READER_WAIT_MS;
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) return null;
      const others = [clock.sleep(waitMs, stop.signal), ...(work.awaited ? [work.awaited] : [])];
      return await Promise.race([polling, ...others.map((other) => other.then(() => null))]);
    } finally {
      stop.abort();
      signal.removeEventListener('abort', abort);
    }
  }

  async #take(batch: RecordColumns): Promise<void> {
    let row = 0;
    do {
      row = await this.#work.take(batch, row, this.#signal);
      const isWithin = row < batch.count;
      if (this.#work.isFull || (isWithin && this.#commitIsDue())) await this.#commit();
    } while (row < batch.count && !this.#signal?.aborted);
  }

  #sinceCommit(): number {
    return this.#o.clock.elapsed() - this.#committedAt;
  }

  #commitIsDue(): boolean {
    return this.#sinceCommit() >= this.#o.commitIntervalMs && this.#work.isDue(this.#o.clock.now());
  }

  async #commit(): Promise<void> {
    await faultPoint('commit.begin', this.name);
    const { clock, metrics, declaration } = this.#o;
    const started = performance.now();
    const now = clock.now();
    const begunAt = clock.elapsed();
    const at = await this.#writer.commit({
      now,
      notesEnd: this.#work.beginCommit(this.#sinceCommit()),
      signal: this.#signal,
      write: (out) => this.#work.write(now, out),
    });
    this.#work.committed(at);
    this.#committedAt = begunAt;
    taskMetrics(metrics).commits.inc({ processor: declaration.name });
    taskMetrics(metrics).commitSeconds.observe({ processor: declaration.name }, (performance.now() - started) / 1000);
    this.#report();
  }

  #report(): void {
    const { metrics, declaration, onCommitted } = this.#o;
    for (const { partition, offset } of this.positions())
      taskMetrics(metrics).position.set({ processor: declaration.name, partition: String(partition) }, offset);
    onCommitted(this.positions());
  }
}
