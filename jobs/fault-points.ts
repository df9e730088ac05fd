/** Points of a run at which fault tests intervene. */
import { type FaultHook, passFaultPoint } from '../runtime/process/fault-points.js';

/** In the order in which a run passes them; the points of the job itself come in between. */
export type RunPoint = 'run.leased' | 'run.started' | 'run.ended' | 'run.result_written' | 'run.reported';

export const faultPoint: FaultHook<RunPoint> = passFaultPoint;
