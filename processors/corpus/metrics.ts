/** Metrics of the corpus application. */
import { declareMetrics } from '../../runtime/process/metrics.js';

export const corpusMetrics = declareMetrics((make) => ({
  /** outcome: counted, changed, unchanged, deleted, cut, dead_letter. */
  documents: make.counter('freshet_corpus_documents_total', 'Records of documents by what became of them.', [
    'outcome',
  ]),
}));
