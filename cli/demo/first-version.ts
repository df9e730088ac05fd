/** Gives the demo versions to show without waiting for a schedule: one run builds the first if none is current yet. */
import type { Run, Runs } from '../../jobs/runs.js';
import type { Versions } from '../../publishing/versions/versions.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Logger } from '../../runtime/process/logger.js';

const ASK_MS = 50;

export interface FirstVersionOptions {
  readonly job: 'stopwords' | 'faiss' | 'als';
  readonly versions: Pick<Versions, 'list'>;
  readonly runs: Runs;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Resolves when a version is current, when the signal aborts, or when the run has failed: the failure is shown in the
 * log and on the page, and the rest of the demo is still worth looking at. Errors: those of the log and the database.
 */
export async function awaitFirstVersion({
  job,
  versions,
  runs,
  logger,
  clock,
  signal,
}: FirstVersionOptions): Promise<void> {
  if ((await versions.list(job)).current !== null) return;
  // A run requested by an earlier start continues by itself.
  const [latest] = await runs.latest(job, 1);
  let run: Run | null = latest?.finished_at === null ? latest : await runs.request(job, { dryRun: false, by: 'demo' });
  const id = run.run_id;
  while (run?.finished_at == null && !signal.aborted) {
    await clock.sleep(ASK_MS, signal);
    run = await runs.get(id);
  }
  if (run !== null && run.finished_at !== null && run.status !== 'succeeded')
    logger.error({
      event: 'demo_first_version_failed',
      job_name: job,
      run_id: id,
      status: run.status,
      result: run.result,
    });
}
