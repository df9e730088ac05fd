/** Metrics of tasks. `processor` is the name of the fold. */
import { declareMetrics, SECONDS } from '../process/metrics.js';

export const taskMetrics = declareMetrics((make) => ({
  commits: make.counter('freshet_task_commits_total', 'Commits of tasks.', ['processor']),
  commitSeconds: make.histogram('freshet_task_commit_seconds', 'Time of one commit.', ['processor'], SECONDS),
  emitted: make.counter('freshet_emitted_records_total', 'Records written to feature topics.', ['topic']),
  position: make.gauge('freshet_task_position_offset', 'Next input offset of a task.', ['processor', 'partition']),
  lag: make.gauge('freshet_task_lag_records', 'Input records not yet folded.', ['processor', 'partition']),
  restoreSeconds: make.histogram('freshet_task_restore_seconds', 'Time to restore a task.', ['processor'], SECONDS),
  /** outcome: written, failed, loaded, discarded. */
  checkpoints: make.counter('freshet_checkpoints_total', 'Local checkpoints by what became of them.', ['outcome']),
  failures: make.counter('freshet_task_failures_total', 'Tasks stopped by an error, by its code.', [
    'processor',
    'code',
  ]),
}));
