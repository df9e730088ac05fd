/**
 * A worker in a separate process, for tests that kill it. It requests a run, or continues existing ones, and prints a
 * line of JSON: the finished run or, if it is to die in the middle of a capture, the pid of the child that it leaves
 * behind. Argument: WorkerJob as JSON.
 */
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openReporting } from '../../../assembly/reporting.js';
import type { RunProgress } from '../../../jobs/runs.js';
import { Worker } from '../../../jobs/worker.js';
import { createVersions } from '../../../publishing/versions/create.js';
import { openEmbeddedLog } from '../../../runtime/log/embedded/log.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { takeFaultPoints } from '../../../runtime/process/fault-points.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { openLocalStore } from '../../../runtime/stores/local/local-store.js';
import { openPostgres } from '../../../runtime/stores/postgres/postgres.js';
import { snapshotJobs } from '../../../snapshotters/snapshot-job.js';
import { type FaultStep, hookOf } from '../../faults/harness/plan.js';
import { codec, WORKER_PACE } from '../jobs.js';
import type { ChildStep } from './child-faults.js';
import { faultsOf, settingsIn } from './counted.js';
import { PLACED, SNAPSHOT_PACE } from './run-scene.js';

export interface WorkerJob {
  readonly folder: string;
  readonly postgresUrl: string;
  /** Null: request a run. */
  readonly runId: string | null;
  readonly steps: readonly FaultStep[];
  readonly childSteps?: readonly ChildStep[];
  readonly diesInCapture?: boolean;
}

const job = JSON.parse(process.argv[2]!) as WorkerJob;
takeFaultPoints(hookOf({ steps: job.steps }));
const log = await openEmbeddedLog(join(job.folder, 'log'), silentLogger);
const database = await openPostgres({ url: job.postgresUrl }, silentLogger);
const store = await openLocalStore(join(job.folder, 'store'), silentLogger);
const settings = settingsIn(job.folder);
const reporting = openReporting(silentLogger);
const shared = { log, codec, database, settings, ...reporting, clock: systemClock };
const versions = createVersions({ ...shared, store });
const execArgv = job.childSteps === undefined ? [] : faultsOf(...job.childSteps);
const jobs = snapshotJobs(PLACED, { ...shared, versions, pace: SNAPSHOT_PACE, execArgv });
// A lease whose holder was killed must be given up before the next one can begin.
const worker = new Worker({ ...shared, jobs, pace: { ...WORKER_PACE, leaseMs: 600 } });
const run =
  job.runId === null ? await worker.runOnce('counting', { dryRun: false, onProgress }) : await resumed(job.runId);
writeSync(1, `${JSON.stringify(run)}\n`);
await worker.stop();
await versions.stop();
await store.close();
await database.close();
await log.close();
process.exit(0);

async function resumed(runId: string) {
  await worker.start();
  for (;;) {
    const run = await worker.runs.get(runId);
    // A result that was not relayed is relayed before the worker stops.
    if (run?.finished_at != null) return run;
    await systemClock.sleep(20);
  }
}

function onProgress({ phase, done }: RunProgress): void {
  if (!job.diesInCapture || phase !== 'capture' || done === 0) return;
  const [child] = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  writeSync(1, `${JSON.stringify({ child: Number(child) })}\n`);
  process.kill(process.pid, 'SIGKILL');
}
