/**
 * The checkpoints of this process, one file per task under `<folder>/<application>/<task>.ckpt`. They only make a
 * restart faster: everything in them is also in the log, so a failing disk costs only time, and a checkpoint in doubt
 * is discarded.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import type { Clock } from '../process/clock.js';
import { messageOf } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import type { Metrics } from '../process/metrics.js';
import { CheckpointFile, type CheckpointHeader, removeCheckpoint, writeCheckpoint } from './checkpoint-file.js';
import { faultPoint } from './fault-points.js';
import { taskMetrics } from './metrics.js';
import { SavedColumns } from './state/saved-columns.js';

/** A large state on a slow disk is written less often, so that at most this share of the time goes into writing it. */
const WRITING_SHARE_MAX = 0.05;
/** At a graceful stop, a checkpoint this recent is good enough. */
const FRESH_MS = 5_000;

interface CheckpointsOptions {
  readonly folder: string;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export class Checkpoints {
  readonly #o: CheckpointsOptions;
  readonly #writing = new Set<Promise<void>>();
  #isBusy = false;

  constructor(options: CheckpointsOptions) {
    this.#o = options;
  }

  /** `name`: the whole name of the task, for logs and fault points. */
  of(application: string, task: string, name: string): TaskCheckpoints {
    const path = join(this.#o.folder, encodeURIComponent(application), `${encodeURIComponent(task)}.ckpt`);
    return new TaskCheckpoints(this.#o, this, path, name);
  }

  /** Only one copy of a task's state is in memory at a time: false while another task's is being written. */
  enter(): boolean {
    if (this.#isBusy) return false;
    this.#isBusy = true;
    return true;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Follows a write that has entered until it is done; never rejects. */
  async follow(write: Promise<void>): Promise<void> {
    this.#writing.add(write);
    await write;
    this.#writing.delete(write);
    this.#isBusy = false;
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    while (this.#isBusy) await Promise.all(this.#writing);
  }
}

/** The checkpoint of one task. */
export class TaskCheckpoints {
  readonly path: string;
  readonly #o: CheckpointsOptions;
  readonly #all: Checkpoints;
  readonly #task: string;
  /** 0.5 to 1, the same for a task at every start: tasks that start together do not write at the same time. */
  readonly #stagger: number;
  #nextMs: number;
  #takenMs = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  constructor(options: CheckpointsOptions, all: Checkpoints, path: string, task: string) {
    this.#o = options;
    this.#all = all;
    this.path = path;
    this.#task = task;
    this.#stagger = 0.5 + crc32c(task) / 2 ** 33;
    this.#nextMs = options.clock.elapsed() + this.#stagger * options.intervalMs;
  }

  /** Whether the next commit should be followed by a checkpoint. */
  isDue(): boolean {
    return this.#o.clock.elapsed() >= this.#nextMs && !this.#all.isBusy;
  }

  /** Whether a task that stops now should leave a newer one behind. */
  isStale(): boolean {
    return this.#o.clock.elapsed() - this.#takenMs >= FRESH_MS;
  }

  /**
   * Copies the state now (through `save`) and writes it in the background; resolves when the write has succeeded or
   * failed. Does nothing while another task's checkpoint is being written.
   */
  take(header: Omit<CheckpointHeader, 'created_at'>, save: (into: SavedColumns) => void): Promise<void> {
    if (!this.#all.enter()) return Promise.resolve();
    const { clock, intervalMs } = this.#o;
    this.#takenMs = clock.elapsed();
    this.#nextMs = this.#takenMs + intervalMs;
    return this.#all.follow(this.#write({ ...header, created_at: clock.now() }, save));
  }

  /** The same, after waiting until no other task's checkpoint is being written. */
  async takeInTurn(header: Omit<CheckpointHeader, 'created_at'>, save: (into: SavedColumns) => void): Promise<void> {
    while (this.#all.isBusy) await this.#all.idle();
    await this.take(header, save);
  }

  async #write(header: CheckpointHeader, save: (into: SavedColumns) => void): Promise<void> {
    const { logger, metrics, clock } = this.#o;
    const started = performance.now();
    try {
      const columns = new SavedColumns();
      save(columns);
      const copied = performance.now();
      await faultPoint('checkpoint.copied', this.#task);
      const bytes = await writeCheckpoint(this.path, header, columns);
      const seconds = (performance.now() - started) / 1000;
      this.#nextMs = Math.max(this.#nextMs, clock.elapsed() + (seconds * 1000) / WRITING_SHARE_MAX);
      this.#isFailing = false;
      taskMetrics(metrics).checkpoints.inc({ outcome: 'written' });
      logger.debug({
        event: 'checkpoint_written',
        task: this.#task,
        bytes,
        copy_ms: copied - started,
        duration_seconds: seconds,
      });
    } catch (error) {
      taskMetrics(metrics).checkpoints.inc({ outcome: 'failed' });
      if (!this.#isFailing) logger.warn({ event: 'checkpoint_failed', task: this.#task, error: messageOf(error) });
      this.#isFailing = true;
    }
  }

  /** The newest checkpoint, which the caller must close; null if there is none that can be read. */
  async open(): Promise<CheckpointFile | null> {
    try {
      return await CheckpointFile.open(this.path);
    } catch (error) {
      await this.discard(messageOf(error));
      return null;
    }
  }

  /** Discards the checkpoint and logs the reason. */
  async discard(reason: string): Promise<void> {
    const { logger, metrics } = this.#o;
    taskMetrics(metrics).checkpoints.inc({ outcome: 'discarded' });
    logger.warn({ event: 'checkpoint_discarded', task: this.#task, reason, path: this.path });
    await removeCheckpoint(this.path).catch(() => undefined);
  }
}
