/** Every metric of the product, named once. One registry per process; services add their observations here. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Creates a fresh registry with all metrics; tests make their own. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name, help, labelNames: [...labelNames], registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge<L>({ name, help, labelNames: [...labelNames], registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram<L>({ name, help, labelNames: [...labelNames], buckets, registers });
  const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60];
  const jobSeconds = [1, 5, 15, 60, 180, 600, 1800, 3600, 7200, 14_400];
  return {
    registry,
    /** outcome: counted, duplicate, late, dead_letter, erasure. */
    intake: counter('freshet_intake_records_total', 'Records of events by what became of them.', ['outcome']),
    /** outcome: counted, changed, unchanged, deleted, cut, dead_letter. */
    corpusDocuments: counter('freshet_corpus_documents_total', 'Records of documents by what became of them.', [
      'outcome',
    ]),
    commits: counter('freshet_task_commits_total', 'Commits of tasks.', ['processor']),
    commitSeconds: histogram('freshet_task_commit_seconds', 'Time of one commit.', ['processor'], seconds),
    emitted: counter('freshet_emitted_records_total', 'Records written to feature topics.', ['topic']),
    taskPosition: gauge('freshet_task_position', 'Next input offset of a task.', ['processor', 'partition']),
    taskLag: gauge('freshet_task_lag_records', 'Input records not yet folded.', ['processor', 'partition']),
    restoreSeconds: histogram('freshet_task_restore_seconds', 'Time to restore a task.', ['processor'], seconds),
    /** outcome: written, failed, loaded, discarded. */
    checkpoints: counter('freshet_checkpoints_total', 'Local checkpoints by what became of them.', ['outcome']),
    taskFailures: counter('freshet_task_failures_total', 'Tasks stopped by an error, by its code.', [
      'processor',
      'code',
    ]),
    sinkApplied: counter('freshet_sink_records_total', 'Feature records applied to a store.', ['sink', 'topic']),
    sinkLag: gauge('freshet_sink_lag_records', 'Feature records not yet applied.', ['sink', 'topic', 'partition']),
    /** From the log time of the newest event in a change to its visibility in the store. */
    sinkDelay: histogram('freshet_sink_delay_seconds', 'Event in the log to readable in the store.', ['sink'], seconds),
    sinkFailures: counter('freshet_sink_failures_total', 'Failed writes to a store; the sink tries again.', ['sink']),
    /** outcome: same, different, left_out, pending, undecided (publishing/audit/compare.ts). */
    auditKeys: counter('freshet_audit_keys_total', 'Keys compared with a recount from the log.', [
      'store',
      'artefact',
      'outcome',
    ]),
    auditDifferent: gauge('freshet_audit_different_keys', 'Keys that differ, as of the last audit.', [
      'store',
      'artefact',
    ]),
    auditError: gauge('freshet_audit_relative_error', 'Largest relative error of the last audit.', []),
    auditSuccess: gauge('freshet_audit_last_success_timestamp_seconds', 'When an audit last found no difference.', []),
    /** outcome: embedded, unchanged, removed, overwritten, rejected (processors/embeddings). */
    embeddings: counter('freshet_embeddings_total', 'Product records by what became of their vectors.', ['outcome']),
    embeddingModel: gauge('freshet_embedding_model_info', 'The model that makes vectors.', ['model', 'kind']),
    dataFreshness: gauge('data_freshness_seconds', 'Age of the oldest unprocessed record.', ['data_source']),
    versionCurrent: gauge('freshet_version_current', 'Number of the current version.', ['artefact']),
    versionSwitches: counter('freshet_version_switches_total', 'Switches to another version.', ['artefact']),
    versionFailures: counter('freshet_version_failures_total', 'Versions that failed to be published.', ['artefact']),
    /** Each is an alarm: the database was put back to an older copy. */
    versionTimelines: counter('freshet_version_timelines_total', 'Timelines begun anew.', ['artefact']),
    featureReads: counter('feature_reads_total', 'Reads of published features.', ['artefact', 'version']),
    /** status: success, failure. Dry runs are not counted here, nor in the others of jobs. */
    jobRuns: counter('batch_job_runs_total', 'Runs of jobs that ended.', ['job_name', 'status']),
    jobSeconds: histogram(
      'batch_job_duration_seconds',
      'Time from the start of a run to its end.',
      ['job_name'],
      jobSeconds,
    ),
    jobRecords: counter('batch_job_records_processed_total', 'Records, or documents, that runs processed.', [
      'job_name',
    ]),
    jobLastSuccess: gauge('batch_job_last_success_timestamp', 'When a run last succeeded, seconds since 1970.', [
      'job_name',
    ]),
    jobLastFailure: gauge('batch_job_last_failure_timestamp', 'When a run last failed, seconds since 1970.', [
      'job_name',
    ]),
    jobConsecutiveFailures: gauge('batch_job_consecutive_failures', 'Failed runs since the last success.', [
      'job_name',
    ]),
    /** status: pass, fail. */
    qualityChecks: counter('data_quality_checks_total', 'Checks of what was built.', ['check_type', 'status']),
    httpRequests: counter('freshet_http_requests_total', 'HTTP requests.', ['route', 'method', 'status']),
    httpSeconds: histogram('freshet_http_request_seconds', 'Time to answer.', ['route'], seconds),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
