import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAllMetrics } from '../../../assembly/metrics.js';

/** Name, kind, labels and help of everything that a process measures, besides what Node says of itself. */
const METRICS = [
  'batch_job_consecutive_failures gauge {job_name} Failed runs since the last success.',
  'batch_job_duration_seconds histogram {job_name} Time from the start of a run to its end.',
  'batch_job_last_failure_timestamp gauge {job_name} When a run last failed, seconds since 1970.',
  'batch_job_last_success_timestamp gauge {job_name} When a run last succeeded, seconds since 1970.',
  'batch_job_records_processed_total counter {job_name} Records, or documents, that runs processed.',
  'batch_job_runs_total counter {job_name,status} Runs of jobs that ended.',
  'data_freshness_seconds gauge {data_source} Age of the oldest unprocessed record.',
  'data_quality_checks_total counter {check_type,status} Checks of what was built.',
  'feature_reads_total counter {artefact,version} Reads of published features.',
  'freshet_audit_different_keys gauge {store,artefact} Keys that differ, as of the last audit.',
  'freshet_audit_keys_total counter {store,artefact,outcome} Keys compared with a recount from the log.',
  'freshet_audit_last_success_timestamp_seconds gauge {} When an audit last found no difference.',
  'freshet_audit_relative_error gauge {} Largest relative error of the last audit.',
  'freshet_checkpoints_total counter {outcome} Local checkpoints by what became of them.',
  'freshet_corpus_documents_total counter {outcome} Records of documents by what became of them.',
  'freshet_embedding_model_info gauge {model,kind} The model that makes vectors.',
  'freshet_embeddings_total counter {outcome} Product records by what became of their vectors.',
  'freshet_emitted_records_total counter {topic} Records written to feature topics.',
  'freshet_http_request_seconds histogram {route} Time to answer.',
  'freshet_http_requests_total counter {route,method,status} HTTP requests.',
  'freshet_intake_records_total counter {outcome} Records of events by what became of them.',
  'freshet_sink_delay_seconds histogram {sink} Event in the log to readable in the store.',
  'freshet_sink_failures_total counter {sink} Failed writes to a store; the sink tries again.',
  'freshet_sink_lag_records gauge {sink,topic,partition} Feature records not yet applied.',
  'freshet_sink_records_total counter {sink,topic} Feature records applied to a store.',
  'freshet_task_commit_seconds histogram {processor} Time of one commit.',
  'freshet_task_commits_total counter {processor} Commits of tasks.',
  'freshet_task_failures_total counter {processor,code} Tasks stopped by an error, by its code.',
  'freshet_task_lag_records gauge {processor,partition} Input records not yet folded.',
  'freshet_task_position gauge {processor,partition} Next input offset of a task.',
  'freshet_task_restore_seconds histogram {processor} Time to restore a task.',
  'freshet_version_current gauge {artefact} Number of the current version.',
  'freshet_version_failures_total counter {artefact} Versions that failed to be published.',
  'freshet_version_switches_total counter {artefact} Switches to another version.',
  'freshet_version_timelines_total counter {artefact} Timelines begun anew.',
];

test('what every room declares is there from the start, and nothing else', async () => {
  const declared = createAllMetrics()
    .registry.getMetricsAsArray()
    .map((metric) => metric as unknown as { name: string; help: string; type: string; labelNames: string[] })
    .filter(({ name }) => !/^(nodejs|process)_/.test(name))
    .map(({ name, help, type, labelNames }) => `${name} ${type} {${labelNames.join(',')}} ${help}`);
  assert.deepEqual(declared.sort(), METRICS);
});
