/** Where fault tests take hold of a snapshot. */
import { type FaultHook, passFaultPoint } from '../runtime/process/fault-points.js';

/** In the order in which a snapshot passes them; those of the capture and the build in its own process. */
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
