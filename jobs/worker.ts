/**
 * Does the runs of its jobs: one run per job at a time, in the order of the queue, under the job's lease. Any number of
 * workers may have the same job; one holds its lease, the others wait for it. A notification from Postgres wakes a
 * worker; because a notification can be lost, it also checks the queue from time to time.
 */
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import type { EventBus } from '../runtime/process/events.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Service } from '../runtime/process/service.js';
import type { Database, Listener } from '../runtime/stores/database.js';
import type { Codec } from '../schemas/codec.js';
import { Bell } from './bell.js';
import { createRuns } from './create-runs.js';
import { historyRead } from './events.js';
import { faultPoint } from './fault-points.js';
import type { Job } from './job.js';
import { takeLease } from './lease.js';
import { Performer, type RunControl } from './perform.js';
import { RequestIntake } from './request-intake.js';
import { ResultRelay } from './result-relay.js';
import { isEnded } from './run-state.js';
import { RunStore, runOf } from './run-store.js';
import type { Run, RunProgress, Runs } from './runs.js';

export interface WorkerOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly database: Database;
  readonly logger: Logger;
  readonly events: EventBus;
  readonly clock: Clock;
  /** The jobs whose runs are done here. */
  readonly jobs: readonly Job[];
  readonly pace?: Partial<WorkerPace>;
}

/** Times in ms. */
interface WorkerPace {
  /** Time between two progress updates of a row. */
  readonly progressMs: number;
  /** Maximum age of a lease's heartbeat. The same for all workers. */
  readonly leaseMs: number;
  /** Delay before the next try when another worker has the lease, or the database or log does not answer. */
  readonly retryMs: number;
  /** How often the queue is checked without a notification. */
  readonly pollMs: number;
}

interface RunOnceOptions {
  readonly dryRun: boolean;
  /** Source of the request: api, cli, demo, … */
  readonly by?: string;
  readonly onProgress?: (progress: RunProgress) => void;
  /** Cancels the run. */
  readonly signal?: AbortSignal;
}

/** Result of a look at the queue. `busy`: there is a run, but another worker has the job or the run. */
type Look = 'idle' | 'busy' | 'ended';

const PACE: WorkerPace = { progressMs: 1_000, leaseMs: 15_000, retryMs: 1_000, pollMs: 5_000 };
/** Migration 0007 sends it, with the name of the job. */
const CHANNEL = 'freshet_jobs';

/** Needs the topics and the migrations. */
export class Worker implements Service {
  readonly name = 'jobs';
  readonly runs: Runs;
  readonly #o: WorkerOptions;
  readonly #pace: WorkerPace;
  readonly #store: RunStore;
  readonly #performer: Performer;
  readonly #intake: RequestIntake;
  readonly #relay: ResultRelay;
  readonly #bells: ReadonlyMap<string, Bell>;
  readonly #stop = new AbortController();
  #listener: Listener | null = null;
  #running: Promise<void>[] = [];
  #starting: Promise<void> | null = null;
  #isCaughtUp = false;

  constructor(options: WorkerOptions) {
    const { database, clock, jobs } = options;
    this.#o = options;
    this.#pace = { ...PACE, ...options.pace };
    this.#store = new RunStore(database);
    const shared = { ...options, ...this.#pace, store: this.#store };
    this.#performer = new Performer(shared);
    this.#intake = new RequestIntake(shared);
    this.#relay = new ResultRelay(shared);
    this.#bells = new Map(jobs.map(({ name }) => [name, new Bell(clock)]));
    this.runs = createRuns(database, [...this.#bells.keys()]);
  }

  /** What it must wait for before it can work, with reasons, which may contain addresses; empty for nothing. */
  get waiting(): readonly { readonly name: string; readonly reason?: string }[] {
    if (!this.#isCaughtUp) return [{ name: 'the requests for runs to be read' }];
    const reason = this.#intake.trouble;
    return reason === null ? [] : [{ name: 'requests for runs, which cannot be read', reason }];
  }

  /**
   * Resolves when all requests are known; runs are done in the background. Errors: those of the log and the database.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start().catch(async (error: unknown) => {
      await this.#end();
      throw error;
    });
    return this.#starting;
  }

  /** Runs in progress go back to the queue. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#starting?.catch(() => undefined);
    await this.#end();
  }

  /**
   * Queues a run and waits for its end, either by doing it or by watching the worker that does. Needs no `start`.
   * Resolves with the run when it has ended, or when it was cancelled while another worker has it. Errors:
   * 'invalid_data' for an unknown job, 'state' when this worker is stopped in the meantime, those of the database.
   */
  async runOnce(name: string, { dryRun, by = 'cli', onProgress, signal }: RunOnceOptions): Promise<Run> {
    const { run_id } = await this.runs.request(name, { dryRun, by });
    const job = this.#o.jobs.find((one) => one.name === name)!;
    const stop = this.#stop.signal;
    const either = signal === undefined ? stop : AbortSignal.any([stop, signal]);
    for (;;) {
      await this.#look(job, run_id, { stop, cancel: signal, onProgress });
      const row = (await this.#store.get(run_id))!;
      if (isEnded(row.status)) {
        // A result that cannot be written now stays in the outbox for any worker.
        await this.#relay.flush().catch(() => undefined);
        return runOf(row);
      }
      if (stop.aborted) throw new FreshetError('state', `run ${run_id} continues when a worker starts again`);
      if (signal?.aborted) return runOf(row);
      if (row.progress !== null) onProgress?.(row.progress);
      await this.#o.clock.sleep(this.#pace.retryMs, either);
    }
  }

  async #start(): Promise<void> {
    const { jobs, database } = this.#o;
    await this.#intake.start();
    for (const job of jobs) await this.#lookBack(job);
    if (this.#stop.signal.aborted) return;
    this.#listener = database.listen(CHANNEL, (job) => this.#ring(job));
    this.#relay.start();
    this.#running = jobs.map((job) => this.#work(job));
    this.#isCaughtUp = true;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    this.#ring(null);
    await this.#listener?.close();
    await this.#intake.stop();
    await Promise.all(this.#running);
    await this.#relay.stop();
  }

  /** Null: any job may have new runs. */
  #ring(job: string | null): void {
    this.#relay.ring();
    for (const [name, bell] of this.#bells) if (job === null || job === name) bell.ring();
  }

  async #work(job: Job): Promise<void> {
    const { logger } = this.#o;
    const { retryMs, pollMs } = this.#pace;
    const bell = this.#bells.get(job.name)!;
    const stop = this.#stop.signal;
    let isTroubled = false;
    while (!stop.aborted) {
      let look: Look = 'busy';
      try {
        look = await this.#look(job, null, { stop });
        isTroubled = false;
      } catch (error) {
        if (!isTroubled) logger.error({ event: 'run_not_tended', job_name: job.name, error: messageOf(error) });
        isTroubled = true;
      }
      if (look === 'ended') this.#relay.ring();
      else await bell.wait(look === 'busy' ? retryMs : pollMs);
    }
  }

  /** One look at the queue of a job: does its first run, or `only`, unless another worker has the lease. */
  async #look(job: Job, only: string | null, control: RunControl): Promise<Look> {
    if (!(await this.#store.isWaiting(job.name, only))) return 'idle';
    const lease = await takeLease({ ...this.#o, boundMs: this.#pace.leaseMs }, job.name);
    if (lease === null) return 'busy';
    try {
      await faultPoint('run.leased', job.name);
      if (!(await this.#performer.perform(job, lease, only, control))) return 'busy';
      // The run has ended, whatever happens to this step.
      await this.#lookBack(job).catch((error: unknown) =>
        this.#o.logger.warn({ event: 'run_history_unread', job_name: job.name, error: messageOf(error) }),
      );
      return 'ended';
    } finally {
      await lease.release();
    }
  }

  /** Removes what finished runs have left, and updates the metrics of their jobs. */
  async #lookBack(job: Job): Promise<void> {
    await job.sweep?.((ids) => this.#store.ended(ids));
    this.#o.events.emit(historyRead, { job_name: job.name, ...(await this.#store.history(job.name)) });
  }
}
