/**
 * What a task does with the records of its inputs. The task around it (task.ts) reads, commits, and comes back after an
 * end; its work says what a commit holds and where reading goes on.
 */
import type { RecordColumns } from '../log/log.js';
import type { Changelog } from './changelog.js';
import type { Output, Part } from './processor.js';
import type { InputOffset } from './task-options.js';
import type { CommitPoint, MarkerContent } from './task-writer.js';

export interface Work {
  /** The folded parts; none of awaited work. */
  readonly parts: readonly Part[];
  /** Comes to the state of the newest marker, once the former owner is fenced. */
  restore(changelog: Changelog, signal: AbortSignal | undefined): Promise<RestoredWork>;
  /** What the next marker says of each input: everything below is in the log once it is. */
  positions(): InputOffset[];

  /** Takes rows of a batch from `row` on; resolves to the row where it stopped, so that a commit may come in between. */
  take(batch: RecordColumns, row: number, signal: AbortSignal | undefined): Promise<number>;
  /** Goes on with what was taken, and with what waits from before. */
  proceed?(signal: AbortSignal | undefined): Promise<void>;
  /** Whether anything waits from before, so that reading should not. */
  readonly hasBacklog?: boolean;
  /** Resolves when something that is under way has come to its end; null: nothing is. */
  readonly awaited?: Promise<unknown> | null;

  /** Whether something has come of what was taken that is in no commit. */
  readonly hasNews: boolean;
  /** Whether a commit should not wait for its time. */
  readonly isFull: boolean;
  /** Whether a commit at `now` would have anything to write. */
  isDue(now: number): boolean;

  /** A commit begins. Returns whether the end of the changelog is worth noting with it. */
  beginCommit(sinceCommitMs: number): boolean;
  /** Writes what has come of the records. May be called again with the same effect until committed() is called. */
  write(now: number, out: Output): MarkerContent;
  /** What the last write() wrote is in the log. */
  committed(at: CommitPoint): void;
  /** The task was stopped, and has made its last commit. */
  checkpointAtStop?(): Promise<void>;
  close(): Promise<void>;
}

export interface RestoredWork {
  readonly at: CommitPoint;
  /** What the log line says of it. */
  readonly figures: Readonly<Record<string, unknown>>;
}
