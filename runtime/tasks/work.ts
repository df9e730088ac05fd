/**
 * What a task does with the records of its inputs. The task (task.ts) reads, commits, and restarts after errors; its
 * work decides what a commit contains and where reading continues.
 */
import type { RecordColumns } from '../log/log.js';
import type { Changelog } from './changelog.js';
import type { Output, Part } from './processor.js';
import type { InputOffset } from './task-options.js';
import type { CommitPoint, MarkerContent } from './task-writer.js';

export interface Work {
  /** The folded parts; none for awaited work. */
  readonly parts: readonly Part[];
  /** Restores the state of the newest marker, after the previous owner was fenced. */
  restore(changelog: Changelog, signal: AbortSignal | undefined): Promise<RestoredWork>;
  /** What the next marker says about each input: everything below is in the log once the marker is. */
  positions(): InputOffset[];

  /**
   * Takes rows of a batch from `row` on; resolves to the row where it stopped, so that a commit may come in between.
   */
  take(batch: RecordColumns, row: number, signal: AbortSignal | undefined): Promise<number>;
  /** Continues with what was taken, and with pending earlier records. */
  proceed?(signal: AbortSignal | undefined): Promise<void>;
  /** Whether earlier records are pending, so that nothing should be read. */
  readonly hasBacklog?: boolean;
  /** Resolves when something in progress has finished; null if nothing is in progress. */
  readonly awaited?: Promise<unknown> | null;

  /** Whether taken records have an outcome that is not in a commit yet. */
  readonly hasNews: boolean;
  /** Whether the commit should happen before its time. */
  readonly isFull: boolean;
  /** Whether a commit at `now` would have anything to write. */
  isDue(now: number): boolean;

  /** A commit starts. Returns whether it is worth recording the end of the changelog with it. */
  beginCommit(sinceCommitMs: number): boolean;
  /** Writes the outcomes of the records. May be called again with the same effect until committed() is called. */
  write(now: number, out: Output): MarkerContent;
  /** What the last write() wrote has been committed. */
  committed(at: CommitPoint): void;
  /** The task was stopped, and its last commit is done. */
  checkpointAtStop?(): Promise<void>;
  close(): Promise<void>;
}

export interface RestoredWork {
  readonly at: CommitPoint;
  /** What the log line reports about it. */
  readonly figures: Readonly<Record<string, unknown>>;
}
