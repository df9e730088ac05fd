/**
 * One run under a lease, from its current state to its end:
 *
 *   claimed (attempt + 1) ─► the job's own attempt, which may keep a value ─► ended, with its result in the outbox
 *
 * Any step may be the last one of this process. The next holder of the lease claims the run again, under the same id.
 */
import type { Clock } from '../runtime/process/clock.js';
import { asError, FreshetError, hasCode } from '../runtime/process/errors.js';
import type { EventBus } from '../runtime/process/events.js';
import { runDropped, runEnded, runInterrupted, runStarted } from './events.js';
import { faultPoint } from './fault-points.js';
import { type Attendance, type Ending, Interrupted, type Job } from './job.js';
import type { Lease } from './lease.js';
import type { RunRow, RunStore } from './run-store.js';
import type { RunProgress } from './runs.js';

interface PerformerOptions {
  readonly store: Pick<RunStore, 'claim' | 'yield' | 'progress' | 'keep' | 'end'>;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Time between two progress updates of a row, ms. */
  readonly progressMs: number;
}

/** What ends a run early, and where to report its progress. */
export interface RunControl {
  /** The worker stops: the run goes back to the queue. */
  readonly stop: AbortSignal;
  /** The run was cancelled. */
  readonly cancel?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RunProgress) => void) | undefined;
}

/** The part of the lease that it needs. */
type HeldLease = Pick<Lease, 'epoch' | 'lost' | 'check'>;

/** `left`: another worker has the run, or it went back to the queue. */
type Outcome = Ending | 'again' | 'left';

/** The result becomes a record, which has a size limit. */
const LINES_MAX = 500;
const LINES_BYTES_MAX = 128 * 1024;
const LINE_CHARACTERS_MAX = 500;

export class Performer {
  readonly #o: PerformerOptions;

  constructor(options: PerformerOptions) {
    this.#o = options;
  }

  /**
   * Does the first queued run of the job, or the run `only`. Resolves with true when the run has ended, and with false
   * when there is none, another worker has it, or it went back to the queue. Errors: those of the database; the run
   * then stays as it is.
   */
  async perform(job: Job, lease: HeldLease, only: string | null, control: RunControl): Promise<boolean> {
    const { store, events } = this.#o;
    let wanted = only;
    while (!control.stop.aborted) {
      const row = await store.claim(job.name, lease.epoch, wanted);
      if (row === null) return false;
      await faultPoint('run.started', row.run_id);
      events.emit(runStarted, row);
      const outcome = await this.#outcome(job, row, lease, control);
      if (outcome === 'left') return false;
      if (outcome !== 'again') return await this.#end(row, lease, outcome);
      wanted = row.run_id;
    }
    return false;
  }

  /** The outcome of one attempt; any error in it is an outcome too. */
  async #outcome(job: Job, row: RunRow, lease: HeldLease, control: RunControl): Promise<Outcome> {
    const { store, events } = this.#o;
    try {
      if (row.deaths >= job.policy.deathsMax) throw diedTooOften(row);
      return await job.run(row, this.#attendance(row, lease, control));
    } catch (error) {
      if (lease.lost.aborted || hasCode(error, 'fenced')) {
        events.emit(runDropped, { row, error: asError(error) });
        return 'left';
      }
      if (control.stop.aborted) {
        await store.yield(row.run_id, lease.epoch);
        return 'left';
      }
      if (control.cancel?.aborted) return { event: 'cancel', result: { errors: ['it was cancelled'] } };
      if (error instanceof Interrupted) {
        events.emit(runInterrupted, { row, error });
        return 'again';
      }
      return { event: 'fail', result: { errors: [asError(error).message] } };
    }
  }

  #attendance({ run_id }: RunRow, lease: HeldLease, { stop, cancel, onProgress }: RunControl): Attendance {
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
        // A reader sees the previous figure until the next update.
        store.progress(run_id, lease.epoch, progress).catch(() => undefined);
      },
      keep: async (value) => {
        lease.check();
        if (!(await store.keep(run_id, lease.epoch, value))) throw taken();
      },
    };
  }

  /** False when another worker has the run or has ended it. */
  async #end(row: RunRow, lease: HeldLease, { event, result: said }: Ending): Promise<boolean> {
    const { store, events } = this.#o;
    const result = {
      success: event === 'succeed',
      ...said,
      summary: shortened(said.summary ?? []),
      errors: shortened(said.errors ?? []),
    };
    const ended = await store.end(row.run_id, lease.epoch, event, result);
    if (ended === null) {
      events.emit(runDropped, { row, error: taken() });
      return false;
    }
    await faultPoint('run.ended', row.run_id);
    events.emit(runEnded, ended);
    return true;
  }
}

/** As many lines as fit, each in a form that Postgres and JSON accept. */
function shortened(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    // The cut may split a surrogate pair; the remaining half becomes U+FFFD.
    const text = Buffer.from(line.slice(0, LINE_CHARACTERS_MAX).replaceAll('\0', '')).toString();
    bytes += Buffer.byteLength(JSON.stringify(text));
    if (kept.length === LINES_MAX || bytes > LINES_BYTES_MAX) break;
    kept.push(text);
  }
  return kept.length < lines.length ? [...kept, `… and ${lines.length - kept.length} more`] : kept;
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
