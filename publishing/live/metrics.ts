/** Metrics of sinks: feature records on their way into the stores. */
import { declareMetrics, SECONDS } from '../../runtime/process/metrics.js';

export const sinkMetrics = declareMetrics((make) => ({
  applied: make.counter('freshet_sink_records_total', 'Feature records applied to a store.', ['sink', 'topic']),
  lag: make.gauge('freshet_sink_lag_records', 'Feature records not yet applied.', ['sink', 'topic', 'partition']),
  /** From the log time of the oldest event in a change to its visibility in the store. */
  delay: make.histogram('freshet_sink_delay_seconds', 'Event in the log to readable in the store.', ['sink'], SECONDS),
  failures: make.counter('freshet_sink_failures_total', 'Failed writes to a store; the sink tries again.', ['sink']),
}));
