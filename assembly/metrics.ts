/** The metrics of a process: every set that a room declares, so that each is shown before it is first counted. */
import { corpusMetrics } from '../processors/corpus/metrics.js';
import { embeddingMetrics } from '../processors/embeddings/metrics.js';
import { featureMetrics } from '../processors/features/metrics.js';
import { auditMetrics } from '../publishing/audit/metrics.js';
import { sinkMetrics } from '../publishing/live/metrics.js';
import { versionMetrics } from '../publishing/versions/metrics.js';
import { embedderMetrics } from '../runtime/models/embedder/metrics.js';
import { createMetrics, type Metrics } from '../runtime/process/metrics.js';
import { taskMetrics } from '../runtime/tasks/metrics.js';
import { servingMetrics } from '../serving/metrics.js';
import { jobMetrics } from '../snapshotters/metrics.js';

export function createAllMetrics(): Metrics {
  return createMetrics([
    featureMetrics,
    corpusMetrics,
    taskMetrics,
    sinkMetrics,
    auditMetrics,
    embeddingMetrics,
    embedderMetrics,
    versionMetrics,
    servingMetrics,
    jobMetrics,
  ]);
}
