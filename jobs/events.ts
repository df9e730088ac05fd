/** What happens to runs of jobs: log lines and metrics, under the names that dashboards use. */
import { NamedEvent, type Reports } from '../runtime/process/events.js';
import { jobMetrics } from './metrics.js';
import type { JobHistory, RunRow } from './run-store.js';

interface Trouble {
  readonly row: RunRow;
  readonly error: Error;
}

/** An attempt starts. */
export const runStarted = new NamedEvent<RunRow>('run_started');

/** An attempt died with its process; another attempt follows. */
export const runInterrupted = new NamedEvent<Trouble>('run_interrupted');

/** Another worker has the run, or may have it. */
export const runDropped = new NamedEvent<Trouble>('run_dropped');

export const runEnded = new NamedEvent<RunRow>('run_ended');

/** What the rows say about a job, before its first run in this process and after each run. */
export const historyRead = new NamedEvent<JobHistory & { readonly job_name: string }>('job_history_read');

export const reportRuns: Reports = (events, { logger, metrics }) => {
  events.on(runStarted, (row) =>
    logger.info({ event: 'batch_job_started', ...named(row), dry_run: row.dry_run, status: row.status }),
  );
  events.on(runInterrupted, ({ row, error }) =>
    logger.warn({ event: 'batch_job_interrupted', ...named(row), error: error.message }),
  );
  events.on(runDropped, ({ row, error }) =>
    logger.warn({ event: 'batch_job_dropped', ...named(row), error: error.message }),
  );
  events.on(runEnded, (row) => {
    const { success, duration_seconds, timestamp: _, ...output } = row.result as Record<string, unknown>;
    const said = { ...named(row), duration_seconds, status: row.status, dry_run: row.dry_run, ...output };
    if (success === true)
      logger.info({ event: 'batch_job_completed', ...said, records_processed: recordsOf(row) }, 'Run completed');
    else logger.error({ event: 'batch_job_failed', ...said }, 'Run failed');
  });
  events.on(runEnded, (row) => {
    // A dry run changes nothing, so it counts neither as a success nor as a failure of the job.
    if (row.dry_run || row.status === 'cancelled') return;
    const { job_name, status, result } = row;
    const { jobRuns, jobSeconds, jobRecords } = jobMetrics(metrics);
    jobRuns.inc({ job_name, status: status === 'succeeded' ? 'success' : 'failure' });
    jobSeconds.observe({ job_name }, Number(result!['duration_seconds']));
    jobRecords.inc({ job_name }, recordsOf(row));
  });
  events.on(historyRead, ({ job_name, failures, succeeded, failed }) => {
    const { jobConsecutiveFailures, jobLastSuccess, jobLastFailure } = jobMetrics(metrics);
    jobConsecutiveFailures.set({ job_name }, failures);
    if (succeeded !== null) jobLastSuccess.set({ job_name }, succeeded.getTime() / 1000);
    if (failed !== null) jobLastFailure.set({ job_name }, failed.getTime() / 1000);
  });
};

function named({ run_id, job_name, attempt }: RunRow) {
  return { job_name, run_id, attempt };
}

function recordsOf({ result }: RunRow): number {
  return Number(result!['documents_processed'] ?? result!['records_processed'] ?? 0);
}
