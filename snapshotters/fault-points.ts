/** Points of a snapshot at which fault tests intervene. */
import { type FaultHook, passFaultPoint } from '../runtime/process/fault-points.js';

/** In the order in which a snapshot passes them; capture and build run in a separate process. */
export type SnapshotPoint =
  | 'capture.noted'
  | 'capture.read'
  | 'capture.saved'
  | 'capture.done'
  | 'build.done'
  | 'build.synced'
  | 'build.finished'
  | 'run.built'
  | 'run.published';

export const faultPoint: FaultHook<SnapshotPoint> = passFaultPoint;
