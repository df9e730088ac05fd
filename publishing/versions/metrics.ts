/** Metrics of versions. */
import { declareMetrics } from '../../runtime/process/metrics.js';

export const versionMetrics = declareMetrics((make) => ({
  current: make.gauge('freshet_current_version', 'Number of the current version.', ['artefact']),
  switches: make.counter('freshet_version_switches_total', 'Switches to another version.', ['artefact']),
  failures: make.counter('freshet_version_failures_total', 'Versions that failed to be published.', ['artefact']),
  /** Each is an alarm: the database was restored from an older copy. */
  timelines: make.counter('freshet_version_timelines_total', 'Timelines started again.', ['artefact']),
}));
