/** Requests to run a job, and how runs ended. One partition each: requests are handled in order. */
import { topic } from './topic.js';

export const runRequests = topic({
  name: 'run-requests',
  doc: 'Requested runs of jobs.',
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
