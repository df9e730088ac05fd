/**
 * One run under a lease, from wherever it stands to its end:
 *
 *   start (attempt + 1) ─► child: capture, build ─► built, kept in the row ─► publish ─► row ended ─► result told
 *
 * Every step may be the last one of this process. The next one starts the run again under the same id: the capture goes
 * on from its savepoint, a finished folder is taken as it is, a version that was published is found by the run's id,
 * and a result that was not told is told.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artefact } from '../publishing/layout.js';
import type { Versions } from '../publishing/versions/versions.js';
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { asError, FreshetError, hasCode } from '../runtime/process/errors.js';
import { faultPoint } from '../runtime/process/fault-points.js';
import type { Logger } from '../runtime/process/logger.js';
import { artifactsFolder, type Settings } from '../runtime/process/settings.js';
import type { Built } from './build-folder.js';
import type { CapturePace } from './child-messages.js';
import { ChildKilled, runChild } from './child-process.js';
import type { Lease } from './lease.js';
import type { RunReporter } from './run-reporter.js';
import type { EndEvent } from './run-state.js';
import type { RunRow, RunStore } from './run-store.js';
import type { RunProgress } from './runs.js';
import type { Snapshotter } from './snapshotter.js';

/** A snapshotter, and the module that its process finds it in: the export `snapshotter`. */
export interface PlacedSnapshotter {
  readonly snapshotter: Snapshotter;
  readonly module: URL;
}

export interface RunPace extends CapturePace {
  /** How often a row says how far the run has come. */
  readonly progressMs: number;
  /** How long a child may take to stop. */
  readonly stopMs: number;
}

export interface PerformerOptions {
  readonly log: Log;
  readonly settings: Settings;
  readonly versions: Pick<Versions, 'publish' | 'list'>;
  readonly store: RunStore;
  readonly reporter: RunReporter;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly pace: RunPace;
  readonly execArgv?: readonly string[];
}

/** What ends a run early, and who wants to know how far it is. */
export interface Attendance {
  /** The worker stops: the run goes back to the queue. */
  readonly stop: AbortSignal;
  /** Nobody wants the run any more. */
  readonly cancel?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RunProgress) => void) | undefined;
}

/** What ends a run, and what its result says besides. */
type Ending = readonly [
  event: EndEvent,
  said: Readonly<Record<string, unknown>> & {
    readonly summary?: readonly string[];
    readonly errors?: readonly string[];
  },
];

/** `left`: somebody else has the run, or it was put back. */
type Outcome = Ending | 'killed' | 'left';

/** A result goes into a record, which is bounded. */
const LINES_MAX = 500;
const LINE_CHARACTERS_MAX = 500;

/** A run that has taken so many processes with it takes no more. */
const DEATHS_MAX = 3;

export class Performer {
  readonly #o: PerformerOptions;

  constructor(options: PerformerOptions) {
    this.#o = options;
  }

  /**
   * Resolves when the run has ended, somebody else has it, or it was put back. Errors: those of the database while it
   * cannot be asked; the run then stays as it is.
   */
  async perform(placed: PlacedSnapshotter, runId: string, lease: Lease, attendance: Attendance): Promise<void> {
    const { store, reporter, clock } = this.#o;
    while (!attendance.stop.aborted) {
      const row = await store.start(runId, lease.epoch, new Date(clock.now()));
      if (row === null) return;
      await faultPoint('run.started', runId);
      reporter.started(row);
      const outcome = await this.#outcome(placed, row, lease, attendance);
      if (outcome === 'left') return;
      if (outcome === 'killed') continue;
      return await this.#end(row, lease, outcome);
    }
  }

  /** What comes of one attempt; whatever goes wrong in it is an outcome. */
  async #outcome(placed: PlacedSnapshotter, row: RunRow, lease: Lease, attendance: Attendance): Promise<Outcome> {
    const { store, reporter } = this.#o;
    try {
      if (row.deaths >= DEATHS_MAX) throw diedTooOften(row);
      return await this.#attempt(placed, row, lease, attendance);
    } catch (error) {
      if (lease.lost.aborted || hasCode(error, 'fenced')) {
        reporter.dropped(row, asError(error));
        return 'left';
      }
      if (attendance.stop.aborted) {
        await store.yield(row.run_id, lease.epoch);
        return 'left';
      }
      if (attendance.cancel?.aborted) return ['cancel', { errors: ['it was cancelled'] }];
      if (error instanceof ChildKilled) {
        reporter.died(row, error);
        return 'killed';
      }
      return ['fail', { errors: [asError(error).message] }];
    }
  }

  /** The folder that runs of a job work in. */
  workFolder(job: string): string {
    return join(artifactsFolder(this.#o.settings), '.work', job);
  }

  /** Removes what ended runs have left on this machine: their process died before it could. */
  async sweep(job: string): Promise<void> {
    const folder = this.workFolder(job);
    const names = await readdir(folder).catch(() => []);
    for (const name of await this.#o.store.ended(names)) await rm(join(folder, name), { recursive: true, force: true });
  }

  async #attempt(placed: PlacedSnapshotter, row: RunRow, lease: Lease, attendance: Attendance): Promise<Ending> {
    const { versions, store, reporter } = this.#o;
    const built = await this.#built(placed, row, lease, attendance);
    reporter.checked(row, built.manifest.checks);
    const made = { ...countsOf(built), summary: built.summary };
    const failed = built.manifest.checks.filter(({ passed }) => !passed);
    if (failed.length > 0) return ['fail', { ...made, errors: failed.map(({ sentence }) => sentence) }];
    if (row.dry_run) return ['succeed', made];
    lease.check();
    await store.progress(row.run_id, lease.epoch, { phase: 'publish', done: 0, total: null });
    attendance.onProgress?.({ phase: 'publish', done: 0, total: null });
    const { artefact } = placed.snapshotter;
    const build = { artefact, folder: built.folder, manifest: built.manifest };
    const { version, state } = await versions.publish(build, { epoch: lease.epoch });
    await faultPoint('run.published', row.run_id);
    return ['succeed', { ...made, version, version_state: state }];
  }

  async #built(placed: PlacedSnapshotter, row: RunRow, lease: Lease, attendance: Attendance): Promise<Built> {
    const { store, clock, settings, pace, versions } = this.#o;
    const { snapshotter, module } = placed;
    const { versions: known, current } = await versions.list(snapshotter.artefact);
    // Its folder has become that version's.
    if (row.built !== null && known.some(({ manifest }) => manifest.run_id === row.run_id)) return row.built;
    const { stop, cancel } = attendance;
    let nextMs = Number.NEGATIVE_INFINITY;
    const onProgress = (progress: RunProgress) => {
      attendance.onProgress?.(progress);
      if (clock.elapsed() < nextMs) return;
      nextMs = clock.elapsed() + pace.progressMs;
      // Who looks sees the former figure until the next.
      store.progress(row.run_id, lease.epoch, progress).catch(() => undefined);
    };
    const built = await runChild({
      ...this.#o,
      job: {
        module: module.href,
        runId: row.run_id,
        settings,
        runFolder: this.#runFolder(row),
        previous:
          current === null ? null : { version: current, folder: this.#versionFolder(snapshotter.artefact, current) },
        pace: { savepointMs: pace.savepointMs, fetchBytes: pace.fetchBytes },
      },
      topics: snapshotter.topics,
      onProgress,
      signal: AbortSignal.any([stop, lease.lost, ...(cancel === undefined ? [] : [cancel])]),
      stopMs: pace.stopMs,
    });
    if (built === null) throw new FreshetError('state', 'it was stopped');
    lease.check();
    await store.keepBuilt(row.run_id, lease.epoch, built);
    await faultPoint('run.built', row.run_id);
    return built;
  }

  async #end(row: RunRow, lease: Lease, [event, said]: Ending): Promise<void> {
    const { store, reporter, clock } = this.#o;
    const now = clock.now();
    const result = {
      success: event === 'succeed',
      duration_seconds: Math.max(0, now - row.started_at!.getTime()) / 1000,
      ...said,
      summary: shortened(said.summary ?? []),
      errors: shortened(said.errors ?? []),
      timestamp: new Date(now).toISOString(),
    };
    const ended = await store.end(row.run_id, lease.epoch, event, new Date(now), result);
    if (ended === null) return reporter.dropped(row, new FreshetError('fenced', 'somebody else has ended it'));
    await faultPoint('run.ended', row.run_id);
    await reporter.ended(ended);
    // What cannot be removed now is swept away at a start.
    await rm(this.#runFolder(row), { recursive: true, force: true }).catch(() => undefined);
    await reporter.tell(ended);
    await faultPoint('run.told', row.run_id);
  }

  #runFolder({ job_name, run_id }: RunRow): string {
    return join(this.workFolder(job_name), run_id);
  }

  #versionFolder(artefact: Artefact, version: number): string {
    return join(artifactsFolder(this.#o.settings), artefact, `v${version}`);
  }
}

/** What a snapshotter counted, and the records that went in where it did not say it better. */
function countsOf({ result, records }: Built): Record<string, number> {
  return 'documents_processed' in result ? { ...result } : { records_processed: records, ...result };
}

function shortened(lines: readonly string[]): string[] {
  const kept = lines.slice(0, LINES_MAX).map((line) => line.slice(0, LINE_CHARACTERS_MAX));
  return lines.length > LINES_MAX ? [...kept, `… and ${lines.length - LINES_MAX} more`] : kept;
}

function diedTooOften({ deaths }: RunRow): FreshetError {
  return new FreshetError(
    'state',
    `${deaths} attempts ended with their process, without a word. Look for memory limits of the machine or container, ` +
      'and for what the worker and its snapshot last logged.',
  );
}
