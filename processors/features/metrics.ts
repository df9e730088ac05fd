/** Metrics of the features application. */
import { declareMetrics } from '../../runtime/process/metrics.js';

export const featureMetrics = declareMetrics((make) => ({
  /** outcome: counted, duplicate, late, dead_letter, erasure. */
  intake: make.counter('freshet_intake_records_total', 'Records of events by what became of them.', ['outcome']),
}));
