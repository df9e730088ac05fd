/** Metrics of audits. */
import { declareMetrics } from '../../runtime/process/metrics.js';

export const auditMetrics = declareMetrics((make) => ({
  /** outcome: same, different, left_out, pending, undecided (compare.ts). */
  keys: make.counter('freshet_audit_keys_total', 'Keys compared with a recount from the log.', [
    'store',
    'artefact',
    'outcome',
  ]),
  different: make.gauge('freshet_audit_different_keys', 'Keys that differ, as of the last audit.', [
    'store',
    'artefact',
  ]),
  error: make.gauge('freshet_audit_relative_error_ratio', 'Largest relative error of the last audit.', []),
  success: make.gauge('freshet_audit_last_success_timestamp_seconds', 'When an audit last found no difference.', []),
}));
