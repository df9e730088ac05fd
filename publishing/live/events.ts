/** What sinks report. */
import { isTransient, messageOf } from '../../runtime/process/errors.js';
import { NamedEvent, type Reports } from '../../runtime/process/events.js';
import type { SinkId } from '../../runtime/stores/online-store.js';
import { sinkMetrics } from './metrics.js';

/** A store did not apply a batch; the sink retries until it does. */
export const sinkFailed = new NamedEvent<{
  readonly id: SinkId;
  readonly error: unknown;
  /** How often in a row. */
  readonly failures: number;
  readonly retryInMs: number;
}>('sink_failed');

export const reportSinks: Reports = (events, { logger, metrics }) => {
  events.on(sinkFailed, ({ id }) => sinkMetrics(metrics).failures.inc({ sink: id.sink }));
  events.on(sinkFailed, ({ id, error, failures, retryInMs }) =>
    logger[isTransient(error) ? 'warn' : 'error'](
      { ...id, event: 'sink_failed', error: messageOf(error), failures, retry_in_ms: retryInMs },
      'The store did not apply a batch; the sink will retry',
    ),
  );
};
