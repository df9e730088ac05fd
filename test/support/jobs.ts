/** Everything that workers need, in one process: a log in files and a real Postgres. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openReporting } from '../../assembly/reporting.js';
import type { Job } from '../../jobs/job.js';
import type { Run, Runs } from '../../jobs/runs.js';
import { Worker, type WorkerOptions } from '../../jobs/worker.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { type Clock, systemClock } from '../../runtime/process/clock.js';
import type { EventBus } from '../../runtime/process/events.js';
import { type Logger, silentLogger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Database } from '../../runtime/stores/database.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { Codec } from '../../schemas/codec.js';
import type { RunRequest, RunResult } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { runRequests, runResults } from '../../topics/jobs.js';
import type { Events } from './publishing.js';
import { written } from './scripted-log.js';
import { type Place, placeOf } from './snapshots/counted.js';

export const codec = new Codec();
/** Short times, so that tests need not wait; a lease outlives a busy machine's hiccup all the same. */
export const WORKER_PACE = {
  progressMs: 10,
  leaseMs: 2_000,
  retryMs: 20,
  // A notification that is missed shows.
  pollMs: 60_000,
} as const;

export interface JobScene extends Place {
  readonly log: Log;
  readonly database: Database;
  readonly metrics: Metrics;
  readonly shared: {
    readonly log: Log;
    readonly codec: Codec;
    readonly database: Database;
    readonly metrics: Metrics;
    readonly logger: Logger;
    readonly events: EventBus;
    readonly clock: Clock;
  };
  /** A worker, stopped with the test; not started. */
  workerOf(jobs: readonly Job[], over?: Partial<WorkerOptions>): Worker;
  /** What run-results holds. */
  results(): Promise<RunResult[]>;
}

/** `postgresUrl`: an empty database. */
export async function openJobScene(t: TestContext, postgresUrl: string): Promise<JobScene> {
  const place = await placeOf(t);
  const { folder, closing } = place;
  const log = closing(await openEmbeddedLog(join(folder, 'log'), silentLogger), (one) => one.close());
  await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions: 2 });
  const database = closing(await openPostgres({ url: postgresUrl }, silentLogger), (one) => one.close());
  await database.execute('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  await migrateUp(database);
  const reporting = openReporting(silentLogger);
  const shared = { log, codec, database, ...reporting, clock: systemClock };
  return {
    ...place,
    log,
    database,
    metrics: reporting.metrics,
    shared,
    workerOf: (jobs, over = {}) =>
      closing(new Worker({ ...shared, jobs, pace: WORKER_PACE, ...over }), (one) => one.stop()),
    results: () => resultsIn(log),
  };
}

export async function resultsIn(log: Log): Promise<RunResult[]> {
  const rows = await written(log, runResults.name);
  return rows.map(({ value }) => codec.decode('RunResult', value!) as RunResult);
}

/** Writes requests to the topic, as others do who have no database. */
export async function requestInTopic(
  log: Log,
  ...requests: readonly (Pick<RunRequest, 'run_id' | 'job_name'> & Partial<RunRequest>)[]
): Promise<void> {
  const writer = await log.writer([runRequests.name]);
  for (const over of requests) {
    const request = { requested_at: Date.now(), requested_by: 'test', dry_run: false, ...over };
    const value = codec.encode('RunRequest', request);
    writer.add(runRequests.name, Buffer.from(request.job_name), value, { timestamp: Date.now() });
  }
  await writer.flush();
  await writer.close();
}

/** The run, once it has ended. */
export async function endOf(events: Events, runs: Pick<Runs, 'get'>, runId: string): Promise<Run> {
  let run: Run | null = null;
  await events.until(`the end of run ${runId}`, async () => {
    run = await runs.get(runId);
    return run?.finished_at != null;
  });
  return run!;
}
