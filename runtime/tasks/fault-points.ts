/** Points of a task at which fault tests intervene. */
import { type FaultHook, passFaultPoint } from '../process/fault-points.js';

/** In the order in which a task passes them. */
export type TaskPoint =
  | 'restore.begin'
  | 'restore.fenced'
  | 'restore.checkpoint_loaded'
  | 'restore.changelog_read'
  | 'restore.replayed'
  | 'commit.begin'
  | 'commit.written'
  | 'commit.acknowledged'
  | 'checkpoint.copied'
  | 'checkpoint.written'
  | 'checkpoint.renamed';

export const faultPoint: FaultHook<TaskPoint> = passFaultPoint;
