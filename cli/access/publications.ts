/**
 * Access to the versions and to the jobs that build them: through the Freshet that holds the data folder, or through
 * log and stores that this command opens itself.
 */
import type { Run, RunProgress } from '../../jobs/runs.js';
import { systemClock } from '../../runtime/process/clock.js';
import { readLock } from '../../runtime/process/data-folder.js';
import type { VersionSwitch } from '../../serving/ports.js';
import type { Shell } from '../shell.js';
import { runOf, runReceipt, versionListOf } from './answers.js';
import type { ApiClient } from './api-client.js';
import { clientOf } from './open.js';

export interface Publications {
  /** For messages: "the running Freshet at …". */
  readonly where: string;
  /** Why a request would not be carried out, in a sentence; null if it may be. */
  readonly idle: string | null;
  readonly versions: VersionSwitch;
  /** Returns once the run is queued. Errors: 'invalid_data' for an unknown job. */
  request(job: string, dryRun: boolean): Promise<Run>;
  /**
   * Runs the job, or waits for the process that runs it. `onProgress` receives the progress, null while no process has
   * taken the run. An abort leaves another process's run alone and returns its current state; a run of our own is
   * cancelled.
   */
  run(
    job: string,
    dryRun: boolean,
    onProgress: (progress: RunProgress | null) => void,
    signal: AbortSignal,
  ): Promise<Run>;
  close(): Promise<void>;
}

const ASK_MS = 250;
const STARTING: RunProgress = { phase: 'starting', done: 0, total: null };

/** Null: no process holds the data folder, or the settings make it needless. Errors: 'locked' while it starts. */
export async function holderClient({ settings }: Shell, reachesAll: boolean): Promise<ApiClient | null> {
  if (reachesAll) return null;
  const holder = await readLock(settings.FRESHET_DATA_DIR);
  return holder === null ? null : clientOf(settings.FRESHET_DATA_DIR, holder);
}

/** Through the API of the running Freshet. */
export function overHttp(client: ApiClient): Publications {
  const path = (artefact: string) => `/v1/versions/${encodeURIComponent(artefact)}`;
  const change = async (artefact: string, what: string, body: object) =>
    versionListOf(await client.postJson(`${path(artefact)}/${what}`, body));
  const request = async (job: string, dryRun: boolean) => {
    const answer = await client.postJson(`/v1/jobs/${encodeURIComponent(job)}/runs`, { dry_run: dryRun });
    const { run_id } = runReceipt.parse(answer);
    return runOf(await client.get(`/v1/runs/${encodeURIComponent(run_id)}`));
  };
  return {
    where: `the running Freshet at ${client.address}`,
    idle: null,
    versions: {
      list: async (artefact) => versionListOf(await client.get(path(artefact))),
      promote: (artefact, version) => change(artefact, 'promote', version === undefined ? {} : { version }),
      rollback: (artefact, options = {}) => change(artefact, 'rollback', options),
      pin: (artefact, version) => change(artefact, 'pin', { version }),
    },
    request,
    run: async (job, dryRun, onProgress, signal) => {
      let run = await request(job, dryRun);
      while (run.finished_at === null && !signal.aborted) {
        onProgress(run.progress ?? (run.status === 'queued' ? null : STARTING));
        await systemClock.sleep(ASK_MS, signal);
        if (!signal.aborted) run = runOf(await client.get(`/v1/runs/${encodeURIComponent(run.run_id)}`));
      }
      return run;
    },
    close: async () => {},
  };
}
