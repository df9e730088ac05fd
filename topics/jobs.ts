/** Requests to run a job, and how runs ended. One partition each: what is asked for first is done first. */
import { topic } from './topic.js';

export const runRequests = topic({
  name: 'run-requests',
  doc: 'Runs of jobs that were asked for.',
  key: 'job name',
  schema: 'RunRequest',
  partitions: 1,
  cleanup: 'delete',
  retentionDays: 30,
  owner: 'serving',
  readers: ['snapshotters'],
});

export const runResults = topic({
  name: 'run-results',
  doc: 'How runs of jobs ended.',
  key: 'job name',
  schema: 'RunResult',
  partitions: 1,
  cleanup: 'delete',
  retentionDays: 30,
  owner: 'snapshotters',
});
