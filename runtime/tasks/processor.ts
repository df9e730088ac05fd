/**
 * What a processor is: a small declaration (reads, keeps, writes) and, per input partition, a part that folds batches
 * into memory and says what to write. Parts do no I/O: the task around them reads, commits and restores.
 */
import type { RecordColumns, TopicPartition, TransactionalWriter } from '../log/log.js';
import type { MarkerPart } from './marker.js';
import type { ColumnSink, ColumnSource } from './state/saved-columns.js';

/** Where a part puts what a commit writes. Keys and values are copied at once. */
export type Output = Pick<TransactionalWriter, 'add'>;

/** How far a row of the input may go while a task restores. Live rows are above all of it. */
export interface FoldMode {
  readonly restoring: boolean;
  /** Rows below change no state: they only rebuild what is kept nowhere else (duplicate ids, the clock). */
  readonly stateFrom: number;
  /** Rows from here on mark their entities as due for slower outputs. */
  readonly dueFrom: number;
}

export const LIVE: FoldMode = { restoring: false, stateFrom: 0, dueFrom: 0 };

/** The folded state of one input partition. Everything in it is a function of the input log and the settings alone. */
export interface Part {
  readonly input: TopicPartition;
  /** Largest log time seen, ms; -1 before the first record. */
  readonly clock: number;
  /** Last UTC day whose midnight sweep is finished. */
  readonly sweptDay: number;
  /** Fetches what folding a batch needs from outside (writers' schemas). */
  prepare(batch: RecordColumns): Promise<void>;
  /** Folds rows [from, to) of a batch. */
  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void;

  /** Whether a commit at `now` would have anything to write besides the marker. */
  isDue(now: number): boolean;
  /** Writes what changed. May be called again with the same effect until committed() is called. */
  emit(asOf: number, out: Output): void;
  /** What the last emit and flush wrote is in the log. */
  committed(): void;
  /** Oldest input offset whose change a slower output has not written; `position` when there is none. */
  oldestDue(position: number): number;

  /** Rows that the changelog does not have, those of a running flush aside. */
  readonly dirtyRows: number;
  /** Begins a flush of the dirty rows. No record below `restoreFrom` is folded again, whatever happens. */
  beginFlush(restoreFrom: number): void;
  /** Writes up to `max` rows of the running flush; each counts every input record below `covers`. */
  flush(max: number, covers: number, out: Output): void;
  /** Whether the running flush was complete with the last committed() call. */
  readonly flushComplete: boolean;

  /** Before the first restoreRow. */
  beginRestore(): void;
  /** A changelog row (value null: deleted). Rows of other parts are ignored. */
  restoreRow(batch: RecordColumns, row: number): void;
  /**
   * Puts the state aside for a checkpoint. Called only when everything is committed: nothing waits to be emitted but
   * what oldestDue() and sweptDay tell of. A part without save and load is restored from the changelog alone.
   */
  save?(into: ColumnSink): void;
  /**
   * Instead of beginRestore and restoreRow: the state as it was saved, at or before the marker. Rows that the changelog
   * did not have then must count as dirty; folding goes on with every record from there to the marker.
   */
  load?(from: ColumnSource, marker: MarkerPart): void;
  /** The log time from which the input must be read again for what the changelog does not hold; null: none. */
  replayHorizon(restoreClock: number): number | null;
  /** State is whole again: from now on rows are live. */
  endRestore(clock: number, sweptDay: number, now: number): void;
  /** A record of a table that the part reads has changed. */
  tableChanged(topic: string, key: string): void;
  /** Hash of the state inside the window at the part's clock; equal states have equal hashes, whatever their history. */
  stateHash(): string;
}

/** A table read whole by every task: positions go into the marker, so no change is missed by outputs that show it. */
export interface TaskTable {
  readonly topic: string;
  /** Next offset per partition that has not been applied. */
  positions(): number[];
  /** Keys whose newest record lies at or above these offsets. */
  changedSince(offsets: readonly number[]): Iterable<string>;
  /** Calls back for every change from now on; returns how to stop. */
  subscribe(listener: (key: string) => void): () => void;
}

export interface PartOptions {
  readonly input: TopicPartition;
  /** Partition count of the input topic. */
  readonly partitions: number;
  /** Partition of the changelog that only this task writes. */
  readonly changelogPartition: number;
}

/** What every task is declared with, whatever its work. */
export interface TaskDeclaration {
  readonly name: string;
  readonly application: string;
  readonly input: string;
  readonly changelog: string;
  /** Every topic that is written, the changelog included. */
  readonly writes: readonly string[];
}

/** Tasks of folds. */
export interface ProcessorDeclaration extends TaskDeclaration {
  /** Readable and complete: names, versions and settings of the folds. A task refuses state made by another. */
  readonly fingerprint: string;
  /**
   * What every value in the changelog begins with, the framing of its schema: a row that begins with anything else is
   * refused before a part sees it. Without it parts must judge their rows themselves.
   */
  readonly rowPrefix?: Buffer;
  readonly tables: readonly TaskTable[];
  createPart(options: PartOptions): Part;
}
