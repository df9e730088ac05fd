/**
 * How a process reports: its logger, the metrics that every room declares (so that each is exported from the start),
 * and the events, to which each room has connected its log lines and metrics.
 */
import { reportRuns } from '../jobs/events.js';
import { jobMetrics } from '../jobs/metrics.js';
import { corpusMetrics } from '../processors/corpus/metrics.js';
import { embeddingMetrics } from '../processors/embeddings/metrics.js';
import { featureMetrics } from '../processors/features/metrics.js';
import { reportAudits } from '../publishing/audit/events.js';
import { auditMetrics } from '../publishing/audit/metrics.js';
import { reportSinks } from '../publishing/live/events.js';
import { sinkMetrics } from '../publishing/live/metrics.js';
import { reportVersions } from '../publishing/versions/events.js';
import { versionMetrics } from '../publishing/versions/metrics.js';
import { embedderMetrics } from '../runtime/models/embedder/metrics.js';
import { EventBus, type Reports } from '../runtime/process/events.js';
import type { Logger } from '../runtime/process/logger.js';
import { createMetrics, type MetricSet, type Metrics } from '../runtime/process/metrics.js';
import { reportTasks } from '../runtime/tasks/events.js';
import { taskMetrics } from '../runtime/tasks/metrics.js';
import { servingMetrics } from '../serving/metrics.js';
import { logMetrics } from './log-metrics.js';

const METRICS: readonly MetricSet[] = [
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
  logMetrics,
];

const REPORTS: readonly Reports[] = [reportTasks, reportSinks, reportVersions, reportAudits, reportRuns];

export interface Reporting {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
}

export function openReporting(logger: Logger): Reporting {
  const metrics = createMetrics(METRICS);
  const events = new EventBus(logger);
  for (const report of REPORTS) report(events, { logger, metrics });
  return { logger, metrics, events };
}
