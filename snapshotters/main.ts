/** The snapshotters put together: requests in, runs done in processes of their own, versions out. */
import type { Versions } from '../publishing/versions/versions.js';
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import type { Service } from '../runtime/process/service.js';
import type { Settings } from '../runtime/process/settings.js';
import type { Database } from '../runtime/stores/database.js';
import type { Codec } from '../schemas/codec.js';
import { createRuns } from './create-runs.js';
import { Performer, type PlacedSnapshotter, type RunPace } from './perform.js';
import { RunReporter } from './run-reporter.js';
import { RunStore } from './run-store.js';
import { RunWriter } from './run-topics.js';
import type { Run, RunProgress, Runs } from './runs.js';
import { Worker } from './worker.js';

export type { PlacedSnapshotter } from './perform.js';

export interface SnapshottersOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly settings: Settings;
  readonly database: Database;
  readonly versions: Pick<Versions, 'publish' | 'list'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Those whose runs are done here. */
  readonly snapshotters: readonly PlacedSnapshotter[];
  readonly pace?: Partial<Pace>;
  /** Further arguments of node for the processes of snapshots. */
  readonly execArgv?: readonly string[];
}

/** Times in ms. */
export interface Pace extends RunPace {
  readonly leaseMs: number;
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

export interface Snapshotters extends Service {
  readonly runs: Runs;
  /** What is not there yet, as phrases; empty when requests are followed. */
  readonly waiting: readonly string[];
  /**
   * Asks for a run and sees it to its end, here or wherever the lease is. Needs no `start`. Errors: 'invalid_data' for an
   * unknown job, 'state' when this service is stopped meanwhile, those of the log and the database.
   */
  runOnce(job: string, options: RunOnceOptions): Promise<Run>;
}

const PACE: Pace = {
  savepointMs: 5_000,
  fetchBytes: 256 * 1024,
  progressMs: 1_000,
  stopMs: 10_000,
  leaseMs: 15_000,
  retryMs: 1_000,
};

/** Needs the topics and the migrations. */
export function createSnapshotters(options: SnapshottersOptions): Snapshotters {
  const { log, codec, database, clock, logger, metrics, snapshotters } = options;
  const pace = { ...PACE, ...options.pace };
  const jobs = snapshotters.map(({ snapshotter }) => snapshotter.name);
  const runs = createRuns({ log, codec, database, clock, jobs });
  const store = new RunStore(database);
  const results = RunWriter.results({ log, codec, clock });
  const reporter = new RunReporter({ store, results, logger, metrics });
  const performer = new Performer({ ...options, store, reporter, pace });
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
