/** Requests runs: each becomes a row in the queue and wakes a worker. */
import { randomUUID } from 'node:crypto';
import { FreshetError } from '../runtime/process/errors.js';
import type { Database } from '../runtime/stores/database.js';
import { RunStore, runOf } from './run-store.js';
import type { Runs } from './runs.js';

/** `jobs`: names that may be requested. Needs the migrations, but no worker. */
export function createRuns(database: Database, jobs: readonly string[]): Runs {
  const store = new RunStore(database);
  const sorted = [...jobs].sort();
  return {
    jobs: sorted,
    request: async (job, { dryRun, by }) => {
      if (!jobs.includes(job))
        throw new FreshetError('invalid_data', `there is no job ${job}; known are ${sorted.join(', ')}`);
      const run_id = randomUUID();
      const request = { run_id, job_name: job, dry_run: dryRun, requested_by: by, requested_at: null };
      return runOf((await store.request(request))!);
    },
    get: async (runId) => {
      const row = await store.get(runId);
      return row === null ? null : runOf(row);
    },
    latest: async (job, limit) => (await store.latest(job, limit)).map(runOf),
  };
}
