/**
 * A job is what one attempt at a run does. Who may run it and when, how often it is retried, what is recorded, and what
 * others are informed of is the same for every job; the worker does it.
 */
import { FreshetError } from '../runtime/process/errors.js';
import type { RunProgress } from './runs.js';

export interface Job {
  /** `[a-z0-9][a-z0-9_-]{0,63}` */
  readonly name: string;
  readonly policy: JobPolicy;
  /**
   * One attempt, which continues where the earlier attempts stopped. Errors: Interrupted leads to another attempt,
   * 'fenced' leaves the run to the next holder of the lease; any other error ends the run as failed and appears in its
   * `errors`. Once `attendance.signal` is aborted, it may throw any error.
   */
  run(run: JobRun, attendance: Attendance): Promise<Ending>;
  /**
   * Removes what finished runs have left on this machine. Called before the first run and after each run; `ended`
   * returns which of the given run ids belong to runs that have ended.
   */
  sweep?(ended: (runIds: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void>;
}

/** What the worker must know about a job. */
interface JobPolicy {
  /** How many attempts at a run may die with their process; the next death fails the run. */
  readonly deathsMax: number;
}

/** What a job knows about its run. */
export interface JobRun {
  readonly run_id: string;
  /** Counts from 1. */
  readonly attempt: number;
  readonly dry_run: boolean;
  /** The value that an earlier attempt kept; null if there is none. */
  readonly kept: unknown;
}

/** What the worker provides to a run. */
export interface Attendance {
  /** Aborted when the attempt must end early: the worker stops, the lease is lost, or the run was cancelled. */
  readonly signal: AbortSignal;
  /** Epoch of the lease, higher than that of every earlier holder: fences what the run publishes. */
  readonly epoch: number;
  /** Call it right before a step that only one process may do. Errors: 'fenced' when the lease is no longer valid. */
  check(): void;
  /** Reports progress; may be called as often as needed. */
  progress(progress: RunProgress): void;
  /**
   * Keeps a value, which must survive JSON, for later attempts. It replaces the previous value and is removed when the
   * run ends. Errors: 'fenced' when another worker has the run; those of the database.
   */
  keep(value: unknown): Promise<void>;
}

/** How a run ended. */
export interface Ending {
  readonly event: 'succeed' | 'fail' | 'cancel';
  /**
   * Copied into the run's result; `summary` and `errors` are shortened. The result becomes a record of run-results, so
   * the rest must stay below 128 KiB.
   */
  readonly result: Readonly<Record<string, unknown>> & {
    readonly summary?: readonly string[];
    readonly errors?: readonly string[];
  };
}

/** An attempt was ended from outside, like a killed process: another attempt follows, and it counts as a death. */
export class Interrupted extends FreshetError {
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}
