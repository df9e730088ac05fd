/** Where fault tests take hold of a run and of the snapshot that it makes. */
import { type FaultHook, passFaultPoint } from '../runtime/process/fault-points.js';

/** In the order in which a run passes them; those of the capture and the build in its own process. */
export type RunPoint =
  | 'run.leased'
  | 'run.started'
  | 'capture.noted'
  | 'capture.read'
  | 'capture.checkpointed'
  | 'capture.done'
  | 'build.done'
  | 'build.synced'
  | 'build.finished'
  | 'run.built'
  | 'run.published'
  | 'run.ended'
  | 'run.told';

export const faultPoint: FaultHook<RunPoint> = passFaultPoint;
