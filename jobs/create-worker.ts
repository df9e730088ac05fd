/** A worker and all that it needs put together: requests in, runs of its jobs done, results out. */
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import type { Service } from '../runtime/process/service.js';
import type { Database } from '../runtime/stores/database.js';
import type { Codec } from '../schemas/codec.js';
import { createRuns } from './create-runs.js';
import type { Job } from './job.js';
import { Performer } from './perform.js';
import { RunReporter } from './reporter.js';
import { RunStore } from './run-store.js';
import { RunWriter } from './run-topics.js';
import type { Run, RunProgress, Runs } from './runs.js';
import { Worker } from './worker.js';

export interface CreateWorkerOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly database: Database;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Those whose runs are done here. */
  readonly jobs: readonly Job[];
  readonly pace?: Partial<WorkerPace>;
}

/** Times in ms. */
export interface WorkerPace {
  /** How often a row says how far its run is. */
  readonly progressMs: number;
  /** How old a heartbeat of a lease may be. */
  readonly leaseMs: number;
  /** How often a lease or a database that was not available is asked for again. */
  readonly retryMs: number;
}

export interface RunOnceOptions {
  readonly dryRun: boolean;
  /** Who asks: api, cli, demo, … */
  readonly by?: string;
  readonly onProgress?: (progress: RunProgress) => void;
  /** Cancels the run. */
  readonly signal?: AbortSignal;
}

export interface JobWorker extends Service {
  readonly runs: Runs;
  /** What is not there yet, as phrases; empty when requests are followed. */
  readonly waiting: readonly string[];
  /**
   * Asks for a run and sees it to its end, here or wherever the lease is. Needs no `start`. Errors: 'invalid_data' for an
   * unknown job, 'state' when this service is stopped meanwhile, those of the log and the database.
   */
  runOnce(job: string, options: RunOnceOptions): Promise<Run>;
}

const PACE: WorkerPace = { progressMs: 1_000, leaseMs: 15_000, retryMs: 1_000 };

/** Needs the topics and the migrations. */
export function createWorker(options: CreateWorkerOptions): JobWorker {
  const { log, codec, database, clock, logger, metrics, jobs } = options;
  const pace = { ...PACE, ...options.pace };
  const runs = createRuns({ log, codec, database, clock, jobs: jobs.map(({ name }) => name) });
  const store = new RunStore(database);
  const results = RunWriter.results({ log, codec, clock });
  const reporter = new RunReporter({ store, results, logger, metrics });
  const performer = new Performer({ store, reporter, clock, progressMs: pace.progressMs });
  const worker = new Worker({ ...options, store, reporter, performer, ...pace });
  return {
    name: worker.name,
    runs,
    get waiting() {
      return worker.waiting;
    },
    start: () => worker.start(),
    stop: async () => {
      await worker.stop();
      await runs.close();
      await results.close();
    },
    runOnce: async (job, { dryRun, by = 'cli', onProgress, signal }) => {
      const { run_id, requested_at } = await runs.request(job, { dryRun, by });
      const request = {
        run_id,
        job_name: job,
        requested_at: requested_at.getTime(),
        requested_by: by,
        dry_run: dryRun,
      };
      return worker.see(request, { onProgress, cancel: signal });
    },
  };
}
