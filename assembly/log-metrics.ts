/** Metrics of the log lines of a process. */
import { droppedLogLines } from '../runtime/process/logger.js';
import { declareMetrics } from '../runtime/process/metrics.js';

export const logMetrics = declareMetrics((make) =>
  make.counted('freshet_log_lines_dropped_total', 'Log lines that could not be written.', droppedLogLines),
);
