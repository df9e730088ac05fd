/** Versions and runs through log and stores that this command opens itself. */
import { openFoundation } from '../../assembly/foundation.js';
import { openReporting } from '../../assembly/reporting.js';
import { SNAPSHOT_JOBS, snapshotterOf } from '../../assembly/snapshotters.js';
import { createRuns } from '../../jobs/create-runs.js';
import type { RunProgress } from '../../jobs/runs.js';
import { Worker } from '../../jobs/worker.js';
import { createVersions } from '../../publishing/versions/create.js';
import { systemClock } from '../../runtime/process/clock.js';
import { snapshotJobs } from '../../snapshotters/snapshot-job.js';
import { RUNNING_SETS } from '../../topics/running.js';
import type { Shell } from '../shell.js';
import type { Publications } from './publications.js';

const WAITING_MS = 250;

/** Topics and migrations are applied first. Errors: those of the log, the registry and the stores. */
export async function openDirect({ settings, logger }: Shell): Promise<Publications> {
  const open: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of open.splice(0).reverse()) await end();
  };
  try {
    const { folder, log, codec, stores } = await openFoundation(settings, {
      sets: RUNNING_SETS,
      logger,
      stores: true,
      keep: (_what, end) => open.push(end),
    });
    const { database, store } = stores!;
    const shared = { log, codec, settings, ...openReporting(logger), clock: systemClock, database };
    // Not started: running processes reconcile, and a switch completes before it returns.
    const versions = createVersions({ ...shared, store });
    open.push(() => versions.stop());
    const runs = createRuns(database, SNAPSHOT_JOBS);
    return {
      where: folder === null ? `Kafka at ${settings.KAFKA_BROKERS!.join(', ')}` : `the log in ${folder.path}`,
      idle: folder === null ? null : 'No Freshet runs on this data folder: the run begins with "freshet up".',
      versions,
      request: (job, dryRun) => runs.request(job, { dryRun, by: 'cli' }),
      run: async (job, dryRun, onProgress, signal) => {
        const jobs = snapshotJobs([await snapshotterOf(job)], { ...shared, versions });
        const worker = new Worker({ ...shared, jobs });
        open.push(() => worker.stop());
        // The run may have to wait for another run's lease, which its own progress does not show.
        const waiting = setInterval(() => onProgress(null), WAITING_MS);
        const onOwnProgress = (progress: RunProgress) => {
          clearInterval(waiting);
          onProgress(progress);
        };
        try {
          return await worker.runOnce(job, { dryRun, by: 'cli', onProgress: onOwnProgress, signal });
        } finally {
          clearInterval(waiting);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
