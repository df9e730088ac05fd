/**
 * A job is what it does in one attempt at a run. Who may run it when, how often it is tried again, what is written down
 * of it and what others hear of it is the worker's business and the same for every job.
 */
import { FreshetError } from '../runtime/process/errors.js';
import type { RunProgress } from './runs.js';

export interface Job {
  /** `[a-z0-9][a-z0-9_-]{0,63}` */
  readonly name: string;
  readonly policy: JobPolicy;
  /**
   * One attempt, from wherever the attempts before it stopped. Errors: Interrupted is followed by another attempt,
   * 'fenced' leaves the run to the next holder of the lease; any other error ends the run as failed and is its
   * `errors`. Once `attendance.signal` is aborted it may throw what it likes.
   */
  run(run: JobRun, attendance: Attendance): Promise<Ending>;
  /**
   * Removes what runs that have ended have left on this machine. Called before the first run and after each one;
   * `ended` returns which of some run ids are those of runs that have ended.
   */
  sweep?(ended: (runIds: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void>;
}

/** What the worker must know of a job. */
interface JobPolicy {
  /** How many attempts at a run may die with their process; the next one fails the run. */
  readonly deathsMax: number;
}

/** What a job knows of its run. */
export interface JobRun {
  readonly run_id: string;
  /** Counts from 1. */
  readonly attempt: number;
  readonly dry_run: boolean;
  /** What an attempt before has kept; null: nothing. */
  readonly kept: unknown;
}

/** What the worker does for a run under way. */
export interface Attendance {
  /** Aborted when the attempt must end early: the worker stops, its lease is lost, or the run was cancelled. */
  readonly signal: AbortSignal;
  /** Of the lease, above that of every former holder: fences what the run publishes. */
  readonly epoch: number;
  /** For right before a step that only one process may take. Errors: 'fenced' when the lease is no longer trusted. */
  check(): void;
  /** Shows how far the run is; may be called as often as wanted. */
  progress(progress: RunProgress): void;
  /**
   * Keeps a value, which must survive JSON, for later attempts; it replaces the one before and goes with the run's end.
   * Errors: 'fenced' when another worker has the run; those of the database.
   */
  keep(value: unknown): Promise<void>;
}

/** How a run ended. */
export interface Ending {
  readonly event: 'succeed' | 'fail' | 'cancel';
  /**
   * Goes into the run's result as it is; `summary` and `errors` are shortened. All of it becomes a record of run-results:
   * the rest must stay below 128 KiB.
   */
  readonly result: Readonly<Record<string, unknown>> & {
    readonly summary?: readonly string[];
    readonly errors?: readonly string[];
  };
}

/** An attempt was ended from outside, as a process is that is killed: another one goes on, and it counts as a death. */
export class Interrupted extends FreshetError {
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}
