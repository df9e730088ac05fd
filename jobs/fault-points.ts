/** Where fault tests take hold of a run. */
import { type FaultHook, passFaultPoint } from '../runtime/process/fault-points.js';

/** In the order in which a run passes them; those of its job come in between. */
export type RunPoint = 'run.leased' | 'run.started' | 'run.ended' | 'run.result_written' | 'run.reported';

export const faultPoint: FaultHook<RunPoint> = passFaultPoint;
