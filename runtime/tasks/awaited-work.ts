/**
 * Work whose outcome has to be awaited, such as the answer of a model or of a service. Every record is taken, what was
 * taken is begun in pieces, and the outcome of a piece is written in the transaction whose marker passes its records: once,
 * whatever ends meanwhile. What was begun and not committed is read and begun again by the next owner, so a call outside
 * may be made twice; its outcome counts once.
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
  /** Makes a record a dead letter, written with the commit that passes it. */
  readonly reject: (batch: RecordColumns, row: number, problem: RecordProblem) => void;
}

export interface AwaitedWork {
  /** Most pieces under way at a time. Their outcomes are written in the order in which they were begun. */
  readonly concurrency: number;
  /**
   * What outcomes depend on besides the records, readable; the marker says it. `isComplete`: nothing of the backlog waits.
   * A task whose marker says something else finds a new backlog, or is refused where there can be none.
   */
  fingerprint(isComplete: boolean): string;
  /** Comes to a state of its own, if it has one, before any other call. Resolves to what the log line says of it. */
  restore(signal: AbortSignal | undefined): Promise<Readonly<Record<string, unknown>>>;
  /** Fetches what taking the rows of a batch needs from outside (writers' schemas). */
  prepare(batch: RecordColumns): Promise<void>;
  /** Takes a record into the next piece. Must not throw for what is wrong with it: that is rejected. */
  take(batch: RecordColumns, row: number): void;
  /** Whether the next piece is large enough to be begun before more is taken. */
  readonly isFull: boolean;
  /**
   * Begins what was taken since the last call; null: there is nothing to await. Resolves to the records to write; rejects
   * soon once the signal aborts. An error ends the task, which is restored if the error may pass.
   */
  begin(signal: AbortSignal | undefined): Promise<readonly OutputRecord[]> | null;
  /** Absent: a first run begins with the first record, and another fingerprint is refused. */
  readonly backlog?: Backlog;
  close(): Promise<void>;
}

/**
 * Records from before a first run, or before a change of the fingerprint, that wait for their outcome. Live records come
 * first: one piece of the backlog is begun after whatever was read.
 */
export interface Backlog {
  /** Finds what waits in these stretches of the inputs; `isFirst`: nothing was ever written. Live reading begins behind. */
  find(stretches: readonly Stretch[], isFirst: boolean, signal: AbortSignal | undefined): Promise<void>;
  /** Records that wait. */
  readonly size: number;
  /** Takes some of them into the next piece. */
  take(): Promise<void>;
  /** The last outcome is in the log. */
  completed(): void;
}
