/** Versions and runs through log and stores that this command opens itself. */

import { openFoundation } from '../../assembly/foundation.js';
import { openReporting } from '../../assembly/reporting.js';
import { SNAPSHOT_JOBS, snapshotterOf } from '../../assembly/snapshotters.js';
import { createVersions } from '../../publishing/versions/create.js';
import { systemClock } from '../../runtime/process/clock.js';
import { createRuns } from '../../snapshotters/create-runs.js';
import { createSnapshotters } from '../../snapshotters/main.js';
import { RUNNING_SETS } from '../../topics/running.js';
import type { Shell } from '../shell.js';
import type { Publications, RunProgress } from './publications.js';

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
    const runs = createRuns({ ...shared, jobs: SNAPSHOT_JOBS });
    open.push(() => runs.close());
    return {
      where: folder === null ? `Kafka at ${settings.KAFKA_BROKERS!.join(', ')}` : `the log in ${folder.path}`,
      idle: folder === null ? null : 'No Freshet runs on this data folder: the run begins with "freshet up".',
      versions,
      request: (job, dryRun) => runs.request(job, { dryRun, by: 'cli' }),
      run: async (job, dryRun, onStep, signal) => {
        const snapshotters = createSnapshotters({ ...shared, versions, snapshotters: [await snapshotterOf(job)] });
        open.push(() => snapshotters.stop());
        // The run may have to wait for another run's lease, which its own progress does not show.
        const waiting = setInterval(() => onStep(null), WAITING_MS);
        const onProgress = (step: RunProgress) => {
          clearInterval(waiting);
          onStep(step);
        };
        try {
          return await snapshotters.runOnce(job, { dryRun, by: 'cli', onProgress, signal });
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
