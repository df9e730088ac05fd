/** Metrics of the embeddings application. */
import { declareMetrics } from '../../runtime/process/metrics.js';

export const embeddingMetrics = declareMetrics((make) => ({
  /** outcome: embedded, unchanged, removed, overwritten, rejected. */
  products: make.counter('freshet_embeddings_total', 'Product records by what became of their vectors.', ['outcome']),
}));
