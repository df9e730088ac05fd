/** Requests to run a job, and results of runs. One partition each: requests are handled in order. */
import { topic } from './topic.js';

export const runRequests = topic({
  name: 'run-requests',
  doc: 'Runs of jobs requested by others; the API and the commands queue theirs in Postgres.',
  key: 'job name',
  schema: 'RunRequest',
  partitions: 1,
  cleanup: 'delete',
  retentionDays: 30,
  owner: 'producers',
  readers: ['jobs'],
});

export const runResults = topic({
  name: 'run-results',
  doc: 'How runs of jobs ended, each at least once.',
  key: 'job name',
  schema: 'RunResult',
  partitions: 1,
  cleanup: 'delete',
  retentionDays: 30,
  owner: 'jobs',
  readers: ['jobs'],
});
