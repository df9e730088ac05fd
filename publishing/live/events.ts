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

/** A partition fails no longer: the store applies its batches again, or (`gone`) it is no longer ours. */
export const sinkRecovered = new NamedEvent<{ readonly id: SinkId; readonly gone: boolean }>('sink_recovered');

/** The partitions of a sink that fail, since when (ms), and how often they have. */
interface Outage {
  readonly partitions: Set<string>;
  readonly since: number;
  failures: number;
}

export const reportSinks: Reports = (events, { logger, metrics }) => {
  events.on(sinkFailed, ({ id }) => sinkMetrics(metrics).failures.inc({ sink: id.sink }));
  // A store that is away fails every partition several times a second: one line when it begins, one when it is over.
  const outages = new Map<string, Outage>();
  events.on(sinkFailed, ({ id, error, failures, retryInMs }) => {
    const outage = outages.get(id.sink) ?? { partitions: new Set(), since: performance.now(), failures: 0 };
    const isNew = outage.failures++ === 0;
    outages.set(id.sink, outage);
    outage.partitions.add(placeOf(id));
    const level = !isTransient(error) ? 'error' : isNew ? 'warn' : 'debug';
    logger[level](
      { ...id, event: 'sink_failed', error: messageOf(error), failures, retry_in_ms: retryInMs },
      'The store did not apply a batch; the sink will retry',
    );
  });
  events.on(sinkRecovered, ({ id, gone }) => {
    const outage = outages.get(id.sink);
    if (outage === undefined || !outage.partitions.delete(placeOf(id)) || outage.partitions.size > 0) return;
    outages.delete(id.sink);
    if (gone) return;
    const seconds = Number(((performance.now() - outage.since) / 1_000).toFixed(1));
    const { failures } = outage;
    logger.warn({ event: 'sink_recovered', sink: id.sink, duration_seconds: seconds, failures }, 'It applies again');
  });
};

const placeOf = ({ topic, partition }: SinkId): string => `${topic}/${partition}`;
