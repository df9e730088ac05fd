/** Metrics of the HTTP interface. */
import { declareMetrics, SECONDS } from '../runtime/process/metrics.js';

export const servingMetrics = declareMetrics((make) => ({
  reads: make.counter('feature_reads_total', 'Reads of published features.', ['artefact', 'version']),
  requests: make.counter('freshet_http_requests_total', 'HTTP requests.', ['route', 'method', 'status']),
  seconds: make.histogram('freshet_http_request_seconds', 'Time to answer.', ['route'], SECONDS),
}));
