/**
 * A member of a fault test: the product's own command line in a process that meets the faults of its plan.
 *
 *   node worker.js <plan as JSON> up --roles processor
 */
import { runProcess } from '../../../cli/main.js';
import { KafkaMembership } from '../../../runtime/log/kafka/client/membership.js';
import { takeFaultPoints } from '../../../runtime/process/fault-points.js';
import { PinnedMembership } from './pinned-membership.js';
import { type FaultPlan, hookOf } from './plan.js';

const [plan, ...command] = process.argv.slice(2) as [string, ...string[]];
const { steps, pinned } = JSON.parse(plan) as FaultPlan;
takeFaultPoints(hookOf({ steps }));
if (pinned !== undefined)
  KafkaMembership.join = async (_cluster, options) =>
    // The log needs nothing of a membership beyond this.
    new PinnedMembership(options, pinned) as unknown as KafkaMembership;
// The parent process holds the other end: if it ends, nothing else would end this process.
process.stdin
  .once('close', () => process.kill(process.pid, 'SIGKILL'))
  .resume()
  .unref();
await runProcess(command);
