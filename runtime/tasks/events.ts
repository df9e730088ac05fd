/** What applications report about their tasks. */
import { NamedEvent, type Reports } from '../process/events.js';
import { taskMetrics } from './metrics.js';

/** An error ended a task; it is restarted unless `taskStopped` follows. */
export const taskFailed = new NamedEvent<{
  readonly processor: string;
  readonly task: string;
  readonly code: string;
  readonly error: Error;
}>('task_failed');

/** A task has stopped for good and needs an operator. */
export const taskStopped = new NamedEvent<{
  readonly task: string;
  /** Within its processor. */
  readonly index: number;
  readonly error: Error;
}>('task_stopped');

/** An application is no longer a member of its group: none of its tasks runs here until the process is restarted. */
export const membershipEnded = new NamedEvent<{ readonly application: string; readonly error: Error }>(
  'membership_ended',
);

export const reportTasks: Reports = (events, { logger, metrics }) => {
  events.on(taskFailed, ({ processor, code }) => taskMetrics(metrics).failures.inc({ processor, code }));
  events.on(taskFailed, ({ task, code, error }) =>
    logger.error({ event: 'task_failed', task, code, error: error.message, stack: error.stack }),
  );
  events.on(taskStopped, ({ task, index, error }) =>
    logger.fatal({ event: 'task_stopped', task, task_index: index, error: error.message }),
  );
  events.on(membershipEnded, ({ application, error }) =>
    logger.fatal({ event: 'membership_ended', application, error: error.message }),
  );
};
