/**
 * One run under a lease, from wherever it stands to its end:
 *
 *   start (attempt + 1) ─► the job's own attempt, which may keep a value ─► row ended ─► result told
 *
 * Every step may be the last one of this process. The next one starts the run again under the same id.
 */
import type { Clock } from '../runtime/process/clock.js';
import { asError, FreshetError, hasCode } from '../runtime/process/errors.js';
import { faultPoint } from '../runtime/process/fault-points.js';
import { type Attendance, type Ending, Interrupted, type Job } from './job.js';
import type { Lease } from './lease.js';
import type { RunReporter } from './reporter.js';
import type { RunRow, RunStore } from './run-store.js';
import type { RunProgress } from './runs.js';

export interface PerformerOptions {
  readonly store: Pick<RunStore, 'start' | 'yield' | 'progress' | 'keep' | 'end' | 'ended'>;
  readonly reporter: Pick<RunReporter, 'started' | 'died' | 'dropped' | 'ended' | 'tell'>;
  readonly clock: Clock;
  /** How often a row says how far the run is, ms. */
  readonly progressMs: number;
}

/** What ends a run early, and who wants to know how far it is. */
export interface RunControl {
  /** The worker stops: the run goes back to the queue. */
  readonly stop: AbortSignal;
  /** Nobody wants the run any more. */
  readonly cancel?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RunProgress) => void) | undefined;
}

/** `left`: somebody else has the run, or it was put back. */
type Outcome = Ending | 'again' | 'left';

/** A result goes into a record, which is bounded. */
const LINES_MAX = 500;
const LINE_CHARACTERS_MAX = 500;

export class Performer {
  readonly #o: PerformerOptions;

  constructor(options: PerformerOptions) {
    this.#o = options;
  }

  /**
   * Resolves when the run has ended, somebody else has it, or it was put back. Errors: those of the database while it
   * cannot be asked; the run then stays as it is.
   */
  async perform(job: Job, runId: string, lease: Lease, control: RunControl): Promise<void> {
    const { store, reporter, clock } = this.#o;
    while (!control.stop.aborted) {
      const row = await store.start(runId, lease.epoch, new Date(clock.now()));
      if (row === null) return;
      await faultPoint('run.started', runId);
      reporter.started(row);
      const outcome = await this.#outcome(job, row, lease, control);
      if (outcome === 'left') return;
      if (outcome === 'again') continue;
      return await this.#end(job, row, lease, outcome);
    }
  }

  /** What comes of one attempt; whatever goes wrong in it is an outcome. */
  async #outcome(job: Job, row: RunRow, lease: Lease, control: RunControl): Promise<Outcome> {
    const { store, reporter } = this.#o;
    try {
      if (row.deaths >= job.policy.deathsMax) throw diedTooOften(row);
      return await job.run(row, this.#attendance(row, lease, control));
    } catch (error) {
      if (lease.lost.aborted || hasCode(error, 'fenced')) {
        reporter.dropped(row, asError(error));
        return 'left';
      }
      if (control.stop.aborted) {
        await store.yield(row.run_id, lease.epoch);
        return 'left';
      }
      if (control.cancel?.aborted) return { event: 'cancel', result: { errors: ['it was cancelled'] } };
      if (error instanceof Interrupted) {
        reporter.died(row, error);
        return 'again';
      }
      return { event: 'fail', result: { errors: [asError(error).message] } };
    }
  }

  #attendance({ run_id }: RunRow, lease: Lease, { stop, cancel, onProgress }: RunControl): Attendance {
    const { store, clock, progressMs } = this.#o;
    let phase = '';
    let nextMs = Number.NEGATIVE_INFINITY;
    return {
      signal: AbortSignal.any([stop, lease.lost, ...(cancel === undefined ? [] : [cancel])]),
      epoch: lease.epoch,
      check: () => lease.check(),
      progress: (progress) => {
        onProgress?.(progress);
        if (progress.phase === phase && clock.elapsed() < nextMs) return;
        phase = progress.phase;
        nextMs = clock.elapsed() + progressMs;
        // Anyone looking sees the former figure until the next.
        store.progress(run_id, lease.epoch, progress).catch(() => undefined);
      },
      keep: async (value) => {
        lease.check();
        if (!(await store.keep(run_id, lease.epoch, value))) throw taken();
      },
    };
  }

  async #end(job: Job, row: RunRow, lease: Lease, { event, result: said }: Ending): Promise<void> {
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
    if (ended === null) return reporter.dropped(row, taken());
    await faultPoint('run.ended', row.run_id);
    await reporter.ended(ended);
    // What cannot be removed now is swept away later.
    await job.sweep?.((ids) => store.ended(ids)).catch(() => undefined);
    await reporter.tell(ended);
    await faultPoint('run.told', row.run_id);
  }
}

function shortened(lines: readonly string[]): string[] {
  const kept = lines.slice(0, LINES_MAX).map((line) => line.slice(0, LINE_CHARACTERS_MAX));
  return lines.length > LINES_MAX ? [...kept, `… and ${lines.length - LINES_MAX} more`] : kept;
}

function taken(): FreshetError {
  return new FreshetError('fenced', 'another worker has the run, or has ended it');
}

function diedTooOften({ deaths }: RunRow): FreshetError {
  return new FreshetError(
    'state',
    `${deaths} attempts ended with their process, without a word. Look for memory limits of the machine or container, ` +
      'and for what the worker and its job last logged.',
  );
}
