/** Loaded by `node --import <this>?<steps as JSON>` before a snapshot's process begins: the faults it is to meet. */
import { once } from 'node:events';
import { takeFaultPoints } from '../../../runtime/process/fault-points.js';
import type { FaultPoint } from '../../faults/harness/fault-points.js';
import { type FaultStep, hookOf } from '../../faults/harness/plan.js';

/** Waits at a passing of a point until the process is told to end. */
export interface HoldStep {
  readonly point: FaultPoint;
  readonly passing: number;
  readonly does: 'hold';
}

export type ChildStep = FaultStep | HoldStep;

const steps = JSON.parse(decodeURIComponent(new URL(import.meta.url).search.slice(1))) as ChildStep[];
const others = hookOf({ steps: steps.filter((step) => step.does !== 'hold') });
const holds = steps.filter((step) => step.does === 'hold').map((step) => ({ ...step, left: step.passing }));

takeFaultPoints<FaultPoint>(async (point, where) => {
  await others(point, where);
  for (const hold of holds) if (hold.point === point && --hold.left === 0) await once(process, 'SIGTERM');
});
