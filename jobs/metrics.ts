/** Metrics of jobs, under the names that dashboards use. Dry runs are not counted as runs. */
import { declareMetrics } from '../runtime/process/metrics.js';

const RUN_SECONDS = [1, 5, 15, 60, 180, 600, 1800, 3600, 7200, 14_400];

export const jobMetrics = declareMetrics((make) => ({
  dataFreshness: make.gauge('data_freshness_seconds', 'Age of the oldest unprocessed record.', ['data_source']),
  /** status: success, failure. */
  jobRuns: make.counter('batch_job_runs_total', 'Runs of jobs that ended.', ['job_name', 'status']),
  jobSeconds: make.histogram(
    'batch_job_duration_seconds',
    'Time from the start of a run to its end.',
    ['job_name'],
    RUN_SECONDS,
  ),
  jobRecords: make.counter('batch_job_records_processed_total', 'Records, or documents, that runs processed.', [
    'job_name',
  ]),
  jobLastSuccess: make.gauge('batch_job_last_success_timestamp', 'When a run last succeeded, seconds since 1970.', [
    'job_name',
  ]),
  jobLastFailure: make.gauge('batch_job_last_failure_timestamp', 'When a run last failed, seconds since 1970.', [
    'job_name',
  ]),
  jobConsecutiveFailures: make.gauge('batch_job_consecutive_failures', 'Failed runs since the last success.', [
    'job_name',
  ]),
  /** status: pass, fail. */
  qualityChecks: make.counter('data_quality_checks_total', 'Checks of what was built.', ['check_type', 'status']),
}));
