/** What is said of runs: log lines by fixed names, and metrics. */
import { messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { JobMetrics as Metrics } from './metrics.js';
import type { RunRow, RunStore } from './run-store.js';

interface ReporterOptions {
  readonly store: Pick<RunStore, 'history'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export class RunReporter {
  readonly #o: ReporterOptions;

  constructor(options: ReporterOptions) {
    this.#o = options;
  }

  started(row: RunRow): void {
    this.#o.logger.info({ event: 'batch_job_started', ...named(row), dry_run: row.dry_run, status: row.status });
  }

  /** Its process was killed: it is started again. */
  died(row: RunRow, error: Error): void {
    this.#o.logger.warn({ event: 'batch_job_interrupted', ...named(row), error: error.message });
  }

  /** Another worker has it, or may have it. */
  dropped(row: RunRow, error: Error): void {
    this.#o.logger.warn({ event: 'batch_job_dropped', ...named(row), error: error.message });
  }

  /** Nothing of a metric or a log line keeps a run from having ended. */
  async ended(row: RunRow): Promise<void> {
    const { logger, metrics } = this.#o;
    const { success, duration_seconds, timestamp: _, ...output } = row.result as Record<string, unknown>;
    const said = { ...named(row), duration_seconds, status: row.status, dry_run: row.dry_run, ...output };
    const records = Number(output['documents_processed'] ?? output['records_processed'] ?? 0);
    if (success === true)
      logger.info({ event: 'batch_job_completed', ...said, records_processed: records }, 'Run completed');
    else logger.error({ event: 'batch_job_failed', ...said }, 'Run failed');
    // A dry run is a look: the job has neither run nor failed by it.
    if (row.dry_run || row.status === 'cancelled') return;
    const { job_name } = row;
    metrics.jobRuns.inc({ job_name, status: success === true ? 'success' : 'failure' });
    metrics.jobSeconds.observe({ job_name }, Number(duration_seconds));
    metrics.jobRecords.inc({ job_name }, records);
    await this.showHistory(job_name);
  }

  /** Gauges as the rows have them, also after a restart. */
  async showHistory(job_name: string): Promise<void> {
    const { metrics, logger, store } = this.#o;
    try {
      const { failures, succeeded, failed } = await store.history(job_name);
      metrics.jobConsecutiveFailures.set({ job_name }, failures);
      if (succeeded !== null) metrics.jobLastSuccess.set({ job_name }, succeeded.getTime() / 1000);
      if (failed !== null) metrics.jobLastFailure.set({ job_name }, failed.getTime() / 1000);
    } catch (error) {
      logger.warn({ event: 'run_history_unread', job_name, error: messageOf(error) });
    }
  }
}

function named({ run_id, job_name, attempt }: RunRow) {
  return { job_name, run_id, attempt };
}
