import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReporting } from '../../../assembly/reporting.js';
import { audited } from '../../../publishing/audit/events.js';
import { sinkFailed, sinkRecovered } from '../../../publishing/live/events.js';
import { timelineRaised, versionFailed, versionSwitched } from '../../../publishing/versions/events.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { membershipEnded, taskFailed, taskStopped } from '../../../runtime/tasks/events.js';
import { REPORT } from '../../support/audits.js';
import { listener, type Said } from '../../support/listener.js';

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
  'freshet_audit_relative_error_ratio gauge {} Largest relative error of the last audit.',
  'freshet_checkpoints_total counter {outcome} Local checkpoints by what became of them.',
  'freshet_corpus_documents_total counter {outcome} Records of documents by what became of them.',
  'freshet_current_version gauge {artefact} Number of the current version.',
  'freshet_embedding_model_info gauge {model,kind} The model that makes vectors.',
  'freshet_embeddings_total counter {outcome} Product records by what became of their vectors.',
  'freshet_emitted_records_total counter {topic} Records written to feature topics.',
  'freshet_http_request_seconds histogram {route} Time to answer.',
  'freshet_http_requests_total counter {route,method,status} HTTP requests.',
  'freshet_intake_records_total counter {outcome} Records of events by what became of them.',
  'freshet_log_lines_dropped_total counter {} Log lines that could not be written.',
  'freshet_sink_delay_seconds histogram {sink} Event in the log to readable in the store.',
  'freshet_sink_failures_total counter {sink} Failed writes to a store; the sink tries again.',
  'freshet_sink_lag_records gauge {sink,topic,partition} Feature records not yet applied.',
  'freshet_sink_records_total counter {sink,topic} Feature records applied to a store.',
  'freshet_task_commit_seconds histogram {processor} Time of one commit.',
  'freshet_task_commits_total counter {processor} Commits of tasks.',
  'freshet_task_failures_total counter {processor,code} Tasks stopped by an error, by its code.',
  'freshet_task_lag_records gauge {processor,partition} Input records not yet folded.',
  'freshet_task_position_offset gauge {processor,partition} Next input offset of a task.',
  'freshet_task_restore_seconds histogram {processor} Time to restore a task.',
  'freshet_version_failures_total counter {artefact} Versions that failed to be published.',
  'freshet_version_switches_total counter {artefact} Switches to another version.',
  'freshet_version_timelines_total counter {artefact} Timelines started again.',
];

test('what every room declares is there from the start, and nothing else', async () => {
  const declared = openReporting(silentLogger)
    .metrics.registry.getMetricsAsArray()
    .map((metric) => metric as unknown as { name: string; help: string; type: string; labelNames: string[] })
    .filter(({ name }) => !/^(nodejs|process)_/.test(name))
    .map(({ name, help, type, labelNames }) => `${name} ${type} {${labelNames.join(',')}} ${help}`);
  assert.deepEqual(declared.sort(), METRICS);
});

/** What a value counts or measures, in base units; a version's number and an offset are units too. */
const UNITS = ['seconds', 'bytes', 'ratio', 'records', 'keys', 'offset', 'version', 'info'];
/** Names of the contract for jobs. */
const FIXED = [
  'batch_job_consecutive_failures',
  'batch_job_last_failure_timestamp',
  'batch_job_last_success_timestamp',
];

test('a name ends in its unit, and a counter in total', () => {
  const isNamedWell = (name: string, type: string) =>
    type === 'counter' ? name.endsWith('_total') : UNITS.some((unit) => name.endsWith(`_${unit}`));
  const others = METRICS.map((line) => line.split(' ') as [string, string])
    .filter(([name, type]) => !isNamedWell(name, type))
    .map(([name]) => name);
  assert.deepEqual(others, FIXED);
});

const [INFO, WARN, ERROR, FATAL] = [30, 40, 50, 60];
const error = new Error('no room');
const id = { sink: 'features.v1.redis', topic: 'popularity.v1', partition: 3 };
const away = new FreshetError('connection', 'away');
const task = 'features.v1.activity-0';

test('each event is a log line under its fixed name, with its fixed fields', () => {
  const said: Said[] = [];
  const { events } = openReporting(listener(said));
  events.emit(taskFailed, { processor: 'activity', task, code: 'internal', error });
  events.emit(taskStopped, { task, index: 0, error });
  events.emit(membershipEnded, { application: 'features.v1', error });
  events.emit(sinkFailed, { id, error: away, failures: 1, retryInMs: 100 });
  events.emit(sinkFailed, { id, error, failures: 2, retryInMs: 200 });
  events.emit(versionSwitched, { artefact: 'als', version: 4, reason: 'worse' });
  events.emit(versionFailed, { artefact: 'als', version: 5, reason: 'damaged' });
  events.emit(timelineRaised, { artefact: 'als', seen: { timeline: 1, seq: 9 }, seenVersion: 4 });
  events.emit(audited, { report: { ...REPORT, differences: REPORT.differences.slice(0, 1) }, atMs: 0 });
  assert.deepEqual(
    said.map(({ time, msg, stack, ...line }) => line),
    [
      { level: ERROR, event: 'task_failed', task, code: 'internal', error: 'no room' },
      { level: FATAL, event: 'task_stopped', task, task_index: 0, error: 'no room' },
      { level: FATAL, event: 'membership_ended', application: 'features.v1', error: 'no room' },
      { level: WARN, ...id, event: 'sink_failed', error: 'away', failures: 1, retry_in_ms: 100 },
      { level: ERROR, ...id, event: 'sink_failed', error: 'no room', failures: 2, retry_in_ms: 200 },
      { level: INFO, event: 'version_switched', artefact: 'als', version: 4, reason: 'worse' },
      { level: ERROR, event: 'version_failed', artefact: 'als', version: 5, reason: 'damaged' },
      { level: ERROR, event: 'version_timeline_raised', artefact: 'als', seen: '1.9', seen_version: 4 },
      { level: ERROR, event: 'audit_difference', ...REPORT.differences[0] },
      { level: INFO, event: 'audit_completed', duration_seconds: 1.5, sample: REPORT.sample, clean: false },
    ],
  );
});

test('an outage of a store is one line, and one when it is over, however many partitions fail', () => {
  const said: Said[] = [];
  const { events } = openReporting(listener(said));
  const partitions = Array.from({ length: 12 }, (_, partition) => ({ ...id, partition }));
  for (let failures = 1; failures <= 30; failures++)
    for (const one of partitions) events.emit(sinkFailed, { id: one, error: away, failures, retryInMs: 100 });
  for (const one of partitions.slice(1)) events.emit(sinkRecovered, { id: one, gone: false });
  assert.deepEqual(
    said.map(({ event }) => event),
    ['sink_failed'],
  );
  events.emit(sinkRecovered, { id: partitions[0]!, gone: false });
  assert.deepEqual([said[1]!.event, said[1]!['sink'], said[1]!['failures']], ['sink_recovered', id.sink, 360]);
  // A partition that another process takes over is no recovery, and the next outage shows again.
  events.emit(sinkFailed, { id, error: away, failures: 1, retryInMs: 100 });
  events.emit(sinkRecovered, { id, gone: true });
  events.emit(sinkFailed, { id, error: away, failures: 1, retryInMs: 100 });
  assert.deepEqual(
    said.slice(2).map(({ event }) => event),
    ['sink_failed', 'sink_failed'],
  );
});

test('each event that is counted is counted once', async () => {
  const { events, metrics } = openReporting(silentLogger);
  events.emit(taskFailed, { processor: 'activity', task, code: 'fenced', error });
  events.emit(sinkFailed, { id, error: away, failures: 1, retryInMs: 100 });
  events.emit(versionSwitched, { artefact: 'als', version: 4, reason: undefined });
  events.emit(versionFailed, { artefact: 'faiss', version: 5, reason: 'damaged' });
  events.emit(timelineRaised, { artefact: 'als', seen: { timeline: 1, seq: 9 }, seenVersion: 4 });
  const text = await metrics.registry.metrics();
  for (const line of [
    'freshet_task_failures_total{processor="activity",code="fenced"} 1',
    'freshet_sink_failures_total{sink="features.v1.redis"} 1',
    'freshet_version_switches_total{artefact="als"} 1',
    'freshet_version_failures_total{artefact="faiss"} 1',
    'freshet_version_timelines_total{artefact="als"} 1',
  ])
    assert.ok(text.includes(`\n${line}\n`), line);
});
