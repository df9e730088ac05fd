/**
 * A processor: a small declaration (reads, keeps, writes) and, per input partition, a part that folds batches in memory
 * and decides what to write. Parts do no I/O: the task reads, commits and restores.
 */
import type { RecordColumns, TopicPartition, TransactionalWriter } from '../log/log.js';
import type { MarkerPart } from './marker.js';
import type { ColumnSink, ColumnSource } from './state/saved-columns.js';

/** Receives what a commit writes. Keys and values are copied at once. */
export type Output = Pick<TransactionalWriter, 'add'>;

/** What a row of the input may change during a restore. Live rows are above all of these offsets. */
export interface FoldMode {
  readonly restoring: boolean;
  /** Rows below change no state: they only rebuild what is stored nowhere else (duplicate ids, the clock). */
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
  /** Fetches what is needed from outside to fold a batch (writers' schemas). */
  prepare(batch: RecordColumns): Promise<void>;
  /** Folds rows [from, to) of a batch. */
  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void;

  /** Whether a commit at `now` would have anything to write besides the marker. */
  isDue(now: number): boolean;
  /** Writes what changed. May be called again with the same effect until committed() is called. */
  emit(asOf: number, out: Output): void;
  /** What the last emit and flush wrote has been committed. */
  committed(): void;
  /** Oldest input offset whose change a slower output has not written yet; `position` if there is none. */
  oldestDue(position: number): number;

  /** Rows that the changelog does not have, without those of a running flush. */
  readonly dirtyRows: number;
  /** Starts a flush of the dirty rows. No record below `restoreFrom` is folded again, whatever happens. */
  beginFlush(restoreFrom: number): void;
  /** Writes up to `max` rows of the running flush; each counts every input record below `covers`. */
  flush(max: number, covers: number, out: Output): void;
  /** Whether the running flush was complete with the last committed() call. */
  readonly flushComplete: boolean;

  /** Called before the first restoreRow. */
  beginRestore(): void;
  /** A changelog row (value null: deleted). Rows of other parts are ignored. */
  restoreRow(batch: RecordColumns, row: number): void;
  /**
   * Copies the state for a checkpoint. Called only when everything is committed: nothing is left to emit except what
   * oldestDue() and sweptDay say. A part without save and load is restored from the changelog alone.
   */
  save?(into: ColumnSink): void;
  /**
   * Replaces beginRestore and restoreRow: the state as it was saved, at or before the marker. Rows that the changelog
   * did not have at that time must count as dirty; folding continues with every record from there to the marker.
   */
  load?(from: ColumnSource, marker: MarkerPart): void;
  /** The log time from which the input must be read again for what the changelog does not contain; null for none. */
  replayHorizon(restoreClock: number): number | null;
  /** The state is complete: from now on rows are live. */
  endRestore(clock: number, sweptDay: number, now: number): void;
  /** A record of a table that the part reads has changed. */
  tableChanged(topic: string, key: string): void;
  /** Hash of the state inside the window at the part's clock; equal states have equal hashes, whatever their history. */
  stateHash(): string;
}

/**
 * A table that every task reads completely: its positions go into the marker, so outputs that show it miss no change.
 */
export interface TaskTable {
  readonly topic: string;
  /** Next offset per partition that has not been applied. */
  positions(): number[];
  /** Keys whose newest record is at or above these offsets. */
  changedSince(offsets: readonly number[]): Iterable<string>;
  /** Calls back for every change from now on; returns a function that ends this. */
  subscribe(listener: (key: string) => void): () => void;
}

export interface PartOptions {
  readonly input: TopicPartition;
  /** Partition count of the input topic. */
  readonly partitions: number;
  /** Partition of the changelog that only this task writes. */
  readonly changelogPartition: number;
}

/** The declaration of every task, whatever its work. */
export interface TaskDeclaration {
  readonly name: string;
  readonly application: string;
  readonly input: string;
  readonly changelog: string;
  /** Every topic that it writes, including the changelog. */
  readonly writes: readonly string[];
}

/** Declaration of a task of folds. */
export interface ProcessorDeclaration extends TaskDeclaration {
  /** Readable and complete: names, versions and settings of the folds. A task refuses state from any other. */
  readonly fingerprint: string;
  /**
   * The first bytes of every value in the changelog, which identify its schema: a row with other first bytes is refused
   * before a part sees it. Without it, parts must check their rows themselves.
   */
  readonly rowPrefix?: Buffer;
  readonly tables: readonly TaskTable[];
  createPart(options: PartOptions): Part;
}
