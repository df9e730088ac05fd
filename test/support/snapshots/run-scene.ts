/** Everything that a run needs, in one process: a log in files, a real Postgres, versions, and workers on top. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type CreateWorkerOptions, createWorker, type JobWorker } from '../../../jobs/create-worker.js';
import { migrateUp } from '../../../publishing/migrations/migrate.js';
import { createVersions } from '../../../publishing/versions/create.js';
import type { Versions } from '../../../publishing/versions/versions.js';
import { openEmbeddedLog } from '../../../runtime/log/embedded/log.js';
import type { Log } from '../../../runtime/log/log.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { createMetrics, type Metrics } from '../../../runtime/process/metrics.js';
import type { Settings } from '../../../runtime/process/settings.js';
import type { Database } from '../../../runtime/stores/database.js';
import { openLocalStore } from '../../../runtime/stores/local/local-store.js';
import { openPostgres } from '../../../runtime/stores/postgres/postgres.js';
import { Codec } from '../../../schemas/codec.js';
import type { RunRequest, RunResult } from '../../../schemas/records.js';
import { type SnapshotJobOptions, snapshotJobs } from '../../../snapshotters/snapshot-job.js';
import { allTopics } from '../../../topics/all.js';
import { applyTopics } from '../../../topics/apply.js';
import { runResults } from '../../../topics/jobs.js';
import { written } from '../scripted-log.js';
import { MODULE, type Place, placeOf, settingsIn } from './counted.js';
import { COUNTED, snapshotter } from './counting.js';

export const codec = new Codec();
export const PLACED = [{ snapshotter, module: MODULE }];
/** Short times, so that tests need not wait; a lease outlives a busy machine's hiccup all the same. */
export const PACE = {
  savepointMs: 0,
  fetchBytes: 100_000,
  progressMs: 10,
  stopMs: 5_000,
  leaseMs: 2_000,
  retryMs: 20,
} as const;

export interface RunScene extends Place {
  readonly log: Log;
  readonly database: Database;
  readonly versions: Versions;
  readonly settings: Settings;
  readonly metrics: Metrics;
  /** A worker, stopped with the test; not started. */
  worker(
    over?: Partial<Pick<SnapshotJobOptions, 'versions' | 'execArgv'> & Pick<CreateWorkerOptions, 'log'>>,
  ): JobWorker;
  /** What run-results holds. */
  results(): Promise<RunResult[]>;
}

/** `postgresUrl`: an empty database. */
export async function openRunScene(t: TestContext, postgresUrl: string): Promise<RunScene> {
  const place = await placeOf(t);
  const { folder, closing } = place;
  const log = closing(await openEmbeddedLog(join(folder, 'log'), silentLogger), (one) => one.close());
  await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions: 2 });
  const database = closing(await openPostgres({ url: postgresUrl }, silentLogger), (one) => one.close());
  await database.execute('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  await migrateUp(database);
  const store = closing(await openLocalStore(join(folder, 'store'), silentLogger), (one) => one.close());
  const settings = settingsIn(folder);
  const metrics = createMetrics();
  const shared = { log, codec, database, settings, metrics, logger: silentLogger, clock: systemClock };
  const versions = closing(createVersions({ ...shared, store }), (one) => one.stop());
  return {
    ...place,
    log,
    database,
    versions,
    settings,
    metrics,
    worker: (over = {}) => {
      const options = { ...shared, versions, pace: PACE, ...over };
      return closing(createWorker({ ...options, jobs: snapshotJobs(PLACED, options) }), (one) => one.stop());
    },
    results: () => resultsIn(log),
  };
}

export async function resultsIn(log: Log): Promise<RunResult[]> {
  const rows = await written(log, runResults.name);
  return rows.map(({ value }) => codec.decode('RunResult', value!) as RunResult);
}

/** Writes a request as somebody would who has no database. */
export async function request(log: Log, over: Partial<RunRequest> & { run_id: string }): Promise<RunRequest> {
  const record = {
    job_name: snapshotter.name,
    requested_at: Date.now(),
    requested_by: 'test',
    dry_run: false,
    ...over,
  };
  const writer = await log.writer(['run-requests']);
  writer.add('run-requests', Buffer.from(record.job_name), codec.encode('RunRequest', record), {
    timestamp: Date.now(),
  });
  await writer.flush();
  await writer.close();
  return record;
}

export { COUNTED };
