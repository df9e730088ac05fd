/** Workers of the counting snapshotter, with versions to publish. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Settings } from '../../../assembly/settings.js';
import type { Worker, WorkerOptions } from '../../../jobs/worker.js';
import { createVersions } from '../../../publishing/versions/create.js';
import type { Versions } from '../../../publishing/versions/versions.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { openLocalStore } from '../../../runtime/stores/local/local-store.js';
import { type SnapshotJobOptions, snapshotJobs } from '../../../snapshotters/snapshot-job.js';
import { type JobScene, openJobScene } from '../jobs.js';
import { MODULE, settingsIn } from './counted.js';
import { snapshotter } from './counting.js';

export const PLACED = [{ snapshotter, module: MODULE }];
export const SNAPSHOT_PACE = { savepointMs: 0, fetchBytes: 100_000, stopMs: 5_000 } as const;

export interface RunScene extends JobScene {
  readonly versions: Versions;
  readonly settings: Settings;
  /** A worker, stopped with the test; not started. */
  worker(over?: Partial<Pick<SnapshotJobOptions, 'versions' | 'execArgv'> & Pick<WorkerOptions, 'log'>>): Worker;
}

/** `postgresUrl`: an empty database. */
export async function openRunScene(t: TestContext, postgresUrl: string): Promise<RunScene> {
  const scene = await openJobScene(t, postgresUrl);
  const { folder, closing } = scene;
  const store = closing(await openLocalStore(join(folder, 'store'), silentLogger), (one) => one.close());
  const settings = settingsIn(folder);
  const shared = { ...scene.shared, settings };
  const versions = closing(createVersions({ ...shared, store }), (one) => one.stop());
  return {
    ...scene,
    versions,
    settings,
    worker: (over = {}) => {
      const jobs = snapshotJobs(PLACED, { ...shared, versions, pace: SNAPSHOT_PACE, ...over });
      return scene.workerOf(jobs, over.log === undefined ? {} : { log: over.log });
    },
  };
}
