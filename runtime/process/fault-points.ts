/**
 * Named places in the engine where a fault test takes hold: it kills the process there, holds it up, or throws. Free in
 * production: nobody takes hold, and passing a point is one comparison.
 */

/** In the order in which a task, a sink, a version, a checkpoint, a snapshot and a run pass them. */
export type FaultPoint =
  | 'restore.begin'
  | 'restore.fenced'
  | 'restore.checkpoint_loaded'
  | 'restore.changelog_read'
  | 'restore.replayed'
  | 'commit.begin'
  | 'commit.written'
  | 'commit.partitions_added'
  | 'commit.produced'
  | 'commit.ended'
  | 'commit.acknowledged'
  | 'checkpoint.copied'
  | 'checkpoint.written'
  | 'checkpoint.renamed'
  | 'sink.opened'
  | 'sink.batch_taken'
  | 'sink.batch_applied'
  | 'sink.batch_noted'
  | 'version.allocated'
  | 'version.moved'
  | 'version.rows_staged'
  | 'version.keys_staged'
  | 'version.verified'
  | 'version.decided'
  | 'version.store_asked'
  | 'version.following'
  | 'version.followed'
  | 'version.released'
  | 'version.reaping'
  | 'version.keys_removed'
  | 'version.folder_removed'
  | 'capture.noted'
  | 'capture.read'
  | 'capture.saved'
  | 'capture.done'
  | 'build.done'
  | 'build.synced'
  | 'build.finished'
  | 'run.leased'
  | 'run.started'
  | 'run.built'
  | 'run.published'
  | 'run.ended'
  | 'run.result_written'
  | 'run.reported';

/** `where` names the task or the sink's partition. */
export type FaultHook = (point: FaultPoint, where: string) => Promise<void> | void;

let hook: FaultHook | null = null;

/** Takes hold of every point; null lets go. For tests only. */
export function takeFaultPoints(next: FaultHook | null): void {
  hook = next;
}

/** Passes a point. To be awaited; what the hook throws goes to the caller. */
export function faultPoint(point: FaultPoint, where: string): Promise<void> | void {
  if (hook !== null) return hook(point, where);
}
