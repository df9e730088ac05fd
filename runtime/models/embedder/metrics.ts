/** Metrics of the model that makes vectors. */
import { declareMetrics } from '../../process/metrics.js';

export const embedderMetrics = declareMetrics((make) => ({
  model: make.gauge('freshet_embedding_model_info', 'The model that makes vectors.', ['model', 'kind']),
}));
