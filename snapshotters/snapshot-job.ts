/**
 * A snapshotter as a job:
 *
 *   separate process: capture, build ─► a finished folder, recorded with the run ─► publish
 *
 * Any step may be the last one of this process. The next attempt continues: the capture from its savepoint, a finished
 * folder is used as it is, a version that was published is found by the run's id.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attendance, Ending, Job, JobRun } from '../jobs/job.js';
import { jobMetrics } from '../jobs/metrics.js';
import type { Check } from '../publishing/versions/manifest.js';
import type { Versions } from '../publishing/versions/versions.js';
import type { Log } from '../runtime/log/log.js';
import { FreshetError } from '../runtime/process/errors.js';
import type { Metrics } from '../runtime/process/metrics.js';
import { artifactsFolder } from '../runtime/stores/settings.js';
import type { Built } from './build-folder.js';
import type { CapturePace } from './child-messages.js';
import { runChild } from './child-process.js';
import { faultPoint } from './fault-points.js';
import { childSettings, type SnapshotSettings } from './settings.js';
import type { Snapshotter } from './snapshotter.js';

/** A snapshotter, and the module that exports it as `snapshotter`. */
export interface PlacedSnapshotter {
  readonly snapshotter: Snapshotter;
  readonly module: URL;
}

export interface SnapshotJobOptions {
  readonly log: Log;
  readonly settings: SnapshotSettings;
  readonly versions: Pick<Versions, 'publish' | 'list'>;
  readonly metrics: Metrics;
  readonly pace?: Partial<SnapshotPace>;
  /** Additional Node arguments for the process. */
  readonly execArgv?: readonly string[];
}

interface SnapshotPace extends CapturePace {
  /** How long a child may take to stop, ms. */
  readonly stopMs: number;
}

const PACE: SnapshotPace = { savepointMs: 5_000, fetchBytes: 256 * 1024, stopMs: 10_000 };

/** One job per snapshotter, with the same name. */
export function snapshotJobs(snapshotters: readonly PlacedSnapshotter[], options: SnapshotJobOptions): Job[] {
  return snapshotters.map((placed) => new SnapshotJob(placed, options));
}

class SnapshotJob implements Job {
  readonly name: string;
  readonly policy = { deathsMax: 3 };
  readonly #placed: PlacedSnapshotter;
  readonly #o: SnapshotJobOptions;
  /** The folder of all runs; each run works in a subfolder with its name. */
  readonly #work: string;

  constructor(placed: PlacedSnapshotter, options: SnapshotJobOptions) {
    this.name = placed.snapshotter.name;
    this.#placed = placed;
    this.#o = options;
    this.#work = join(artifactsFolder(options.settings), '.work', this.name);
  }

  async run(run: JobRun, attendance: Attendance): Promise<Ending> {
    const built = await this.#built(run, attendance);
    const { checks } = built.manifest;
    if (!run.dry_run) this.#count(checks);
    const made = { ...countsOf(built), summary: built.summary };
    const failed = checks.filter(({ passed }) => !passed);
    if (failed.length > 0)
      return { event: 'fail', result: { ...made, errors: failed.map(({ sentence }) => sentence) } };
    if (run.dry_run) return { event: 'succeed', result: made };
    attendance.check();
    attendance.progress({ phase: 'publish', done: 0, total: null });
    const { artefact } = this.#placed.snapshotter;
    const build = { artefact, folder: built.folder, manifest: built.manifest };
    const { version, state } = await this.#o.versions.publish(build, { epoch: attendance.epoch });
    await faultPoint('run.published', run.run_id);
    return { event: 'succeed', result: { ...made, version, version_state: state } };
  }

  async sweep(ended: (runIds: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void> {
    const names = await readdir(this.#work).catch(() => []);
    for (const name of await ended(names)) await rm(join(this.#work, name), { recursive: true, force: true });
  }

  async #built(run: JobRun, attendance: Attendance): Promise<Built> {
    const { artefact } = this.#placed.snapshotter;
    const kept = run.kept as Built | null;
    const { versions: known, current } = await this.#o.versions.list(artefact);
    // Its folder has become the folder of that version.
    if (kept !== null && known.some(({ manifest }) => manifest.run_id === run.run_id)) return kept;
    const built = await this.#make(run, attendance, current);
    await attendance.keep(built);
    await faultPoint('run.built', run.run_id);
    return built;
  }

  /** `current`: the version to compare with. Errors: those of runChild; 'state' when it was stopped. */
  async #make({ run_id }: JobRun, attendance: Attendance, current: number | null): Promise<Built> {
    const { settings, log, execArgv } = this.#o;
    const { snapshotter, module } = this.#placed;
    const { stopMs, ...pace } = { ...PACE, ...this.#o.pace };
    const folder = join(artifactsFolder(settings), snapshotter.artefact, `v${current}`);
    const built = await runChild({
      job: {
        module: module.href,
        runId: run_id,
        settings: childSettings(settings, snapshotter.settings),
        runFolder: join(this.#work, run_id),
        previous: current === null ? null : { version: current, folder },
        pace,
      },
      log,
      topics: snapshotter.topics,
      onProgress: (progress) => attendance.progress(progress),
      signal: attendance.signal,
      stopMs,
      ...(execArgv === undefined ? {} : { execArgv }),
    });
    if (built === null) throw new FreshetError('state', 'it was stopped');
    return built;
  }

  #count(checks: readonly Check[]): void {
    const { qualityChecks } = jobMetrics(this.#o.metrics);
    for (const { name, passed } of checks) qualityChecks.inc({ check_type: name, status: passed ? 'pass' : 'fail' });
  }
}

/** The figures of a snapshotter, and the number of records read if it reports no better one. */
function countsOf({ result, records }: Built): Record<string, number> {
  return 'documents_processed' in result ? { ...result } : { records_processed: records, ...result };
}
