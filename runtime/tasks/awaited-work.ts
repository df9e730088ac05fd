/**
 * Work whose outcome must be awaited, such as the answer of a model or a service. Every record is taken, pieces of work
 * are started from the taken records, and the outcome of a piece is written once, in the transaction whose marker
 * passes its records, whatever fails in between. Work that was started but not committed is read and started again by
 * the next owner, so an external call may be made twice; its outcome counts once.
 */
import type { RecordColumns } from '../log/log.js';
import type { RecordProblem } from '../log/record-problem.js';
import type { TaskDeclaration } from './processor.js';
import type { OutputRecord } from './rejects.js';
import type { Stretch } from './stretches.js';
import type { TaskOptions } from './task-options.js';

export interface AwaitedDeclaration extends TaskDeclaration {
  createWork(options: AwaitedWorkOptions): AwaitedWork;
}

export interface AwaitedWorkOptions
  extends Pick<TaskOptions, 'inputs' | 'partitions' | 'log' | 'codec' | 'clock' | 'logger'> {
  /** Name of the task, for messages. */
  readonly task: string;
  /** Turns a record into a dead letter, written with the commit that passes it. */
  readonly reject: (batch: RecordColumns, row: number, problem: RecordProblem) => void;
}

export interface AwaitedWork {
  /** Maximum number of pieces in progress. Their outcomes are written in the order in which they were started. */
  readonly concurrency: number;
  /**
   * What the outcomes depend on besides the records, as readable text; part of the marker. `isComplete`: the backlog is
   * empty. A task whose marker has another fingerprint finds a new backlog, or is refused if there can be none.
   */
  fingerprint(isComplete: boolean): string;
  /** Restores its own state, if it has one, before any other call. Resolves to what the log line reports about it. */
  restore(signal: AbortSignal | undefined): Promise<Readonly<Record<string, unknown>>>;
  /** Fetches what is needed from outside to take the rows of a batch (writers' schemas). */
  prepare(batch: RecordColumns): Promise<void>;
  /** Takes a record into the next piece. Must not throw for a bad record: that is rejected. */
  take(batch: RecordColumns, row: number): void;
  /** Whether the next piece is large enough to start before more records are taken. */
  readonly isFull: boolean;
  /**
   * Starts a piece from what was taken since the last call; null if there is nothing to await. Resolves to the records
   * to write; rejects soon after the signal aborts. An error ends the task, which is restored if the error is
   * transient.
   */
  begin(signal: AbortSignal | undefined): Promise<readonly OutputRecord[]> | null;
  /** Absent: a first run starts at the first record, and another fingerprint is refused. */
  readonly backlog?: Backlog;
  close(): Promise<void>;
}

/**
 * Records from before a first run, or before a change of the fingerprint, whose outcome is pending. Live records have
 * priority: one piece of the backlog is started after each read.
 */
export interface Backlog {
  /**
   * Finds pending records in these ranges of the inputs; `isFirst`: nothing was ever written. Live reading starts after
   * them.
   */
  find(stretches: readonly Stretch[], isFirst: boolean, signal: AbortSignal | undefined): Promise<void>;
  /** Number of pending records. */
  readonly size: number;
  /** Takes some of them into the next piece. */
  take(): Promise<void>;
  /** The last outcome has been committed. */
  completed(): void;
}
