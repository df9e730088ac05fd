/** Runs for those who ask for them. The request in the log is what counts; the row makes it visible at once. */
import { randomUUID } from 'node:crypto';
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { FreshetError } from '../runtime/process/errors.js';
import type { Database } from '../runtime/stores/database.js';
import type { Codec } from '../schemas/codec.js';
import type { RunRequest } from '../schemas/records.js';
import { RunStore, runOf } from './run-store.js';
import { RunWriter } from './run-topics.js';
import type { Run, Runs } from './runs.js';

export interface RunsOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly database: Database;
  readonly clock: Clock;
  /** Names that may be asked for. */
  readonly jobs: readonly string[];
}

/** Runs that can be let go of. */
export interface OpenRuns extends Runs {
  close(): Promise<void>;
}

/** Needs the topics and the migrations, no worker. */
export function createRuns({ log, codec, database, clock, jobs }: RunsOptions): OpenRuns {
  const store = new RunStore(database);
  const writer = RunWriter.requests({ log, codec, clock });
  return {
    jobs: [...jobs].sort(),
    request: async (job, { dryRun, by }) => {
      if (!jobs.includes(job))
        throw new FreshetError('invalid_data', `there is no job ${job}; known are ${[...jobs].sort().join(', ')}`);
      const now = clock.now();
      const request = { run_id: randomUUID(), job_name: job, requested_at: now, requested_by: by, dry_run: dryRun };
      await writer.write(request);
      // Who has the log has the run: a worker makes the row where this does not come to it.
      await store.ensure(request).catch(() => undefined);
      return queued(request);
    },
    get: async (runId) => {
      const row = await store.get(runId);
      return row === null ? null : runOf(row);
    },
    latest: async (job, limit) => (await store.latest(job, limit)).map(runOf),
    close: () => writer.close(),
  };
}

function queued({ run_id, job_name, dry_run, requested_at }: RunRequest): Run {
  return {
    run_id,
    job_name,
    status: 'queued',
    attempt: 0,
    dry_run,
    requested_at: new Date(requested_at),
    started_at: null,
    finished_at: null,
    progress: null,
    result: null,
  };
}
