/**
 * Runs what is asked for. It follows run-requests and does every request that has no end yet, one at a time per job, in
 * the log's order, under the job's lease. Workers on several machines all follow; one has the lease, the others wait for
 * it and find the run ended.
 */
import type { Clock } from '../runtime/process/clock.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import { faultPoint } from '../runtime/process/fault-points.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Service } from '../runtime/process/service.js';
import type { Database } from '../runtime/stores/database.js';
import type { RunRequest, RunResult } from '../schemas/records.js';
import type { Job } from './job.js';
import { takeLease } from './lease.js';
import type { Performer, RunControl } from './perform.js';
import type { RunReporter } from './reporter.js';
import { isEnded } from './run-state.js';
import { type RunRow, type RunStore, runOf } from './run-store.js';
import { RequestFollower, type RunTopicsOptions, readResults } from './run-topics.js';
import type { Run } from './runs.js';

export interface WorkerOptions extends RunTopicsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly store: RunStore;
  readonly reporter: RunReporter;
  readonly performer: Performer;
  readonly jobs: readonly Job[];
  /** How old a heartbeat of a lease may be, ms. */
  readonly leaseMs: number;
  /** How often a lease or a database that was not to be had is asked for again, ms. */
  readonly retryMs: number;
}

export class Worker implements Service {
  readonly name = 'jobs';
  readonly #o: WorkerOptions;
  readonly #stop = new AbortController();
  readonly #queues: ReadonlyMap<string, Queue>;
  readonly #follower: RequestFollower;
  #running: Promise<void>[] = [];
  #starting: Promise<void> | null = null;
  #isCaughtUp = false;

  constructor(options: WorkerOptions) {
    this.#o = options;
    this.#queues = new Map(options.jobs.map(({ name }) => [name, new Queue()]));
    this.#follower = new RequestFollower(options, ({ run_id, job_name, ...request }) => {
      this.#queues.get(job_name)?.add({ run_id, job_name, ...request });
    });
  }

  /** What it waits for before it does what it is there for; empty: nothing. */
  get waiting(): readonly string[] {
    if (!this.#isCaughtUp) return ['the requests for runs to be read'];
    return this.#follower.trouble === null ? [] : [this.#follower.trouble];
  }

  /** Resolves when all requests are known; runs go on in the background. Errors: those of the log and the database. */
  start(): Promise<void> {
    this.#starting ??= this.#start().catch(async (error: unknown) => {
      await this.#end();
      throw error;
    });
    return this.#starting;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#starting?.catch(() => undefined);
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    await this.#follower.stop();
    await Promise.all(this.#running);
  }

  /**
   * Sees one run to its end, by doing it or by watching who does; whether the worker was started makes no difference.
   * Resolves with the run as it is when it has ended, or was cancelled while another worker has it. Errors: 'state' when
   * the worker is stopped meanwhile; those of the database.
   */
  async see(request: RunRequest, control: Omit<RunControl, 'stop'>): Promise<Run> {
    const { store, clock, retryMs } = this.#o;
    const { signal } = this.#stop;
    const either = control.cancel === undefined ? signal : AbortSignal.any([signal, control.cancel]);
    for (;;) {
      const row = await this.#tend(request, { ...control, stop: signal });
      if (row !== null) return runOf(row);
      if (signal.aborted) throw new FreshetError('state', `run ${request.run_id} goes on when a worker starts again`);
      if (control.cancel?.aborted) return runOf((await store.get(request.run_id))!);
      const progress = (await store.get(request.run_id))?.progress;
      if (progress) control.onProgress?.(progress);
      await clock.sleep(retryMs, either);
    }
  }

  async #start(): Promise<void> {
    const { store, reporter, jobs } = this.#o;
    const mine = ({ job_name }: { readonly job_name: string }) => this.#queues.has(job_name);
    // What the log says has ended has ended, also where the database is an older or an empty one.
    const ends: RunResult[] = [];
    await readResults(this.#o, (result) => mine(result) && ends.push(result));
    const known = await store.ended(ends.map(({ run_id }) => run_id));
    for (const end of ends) if (!known.has(end.run_id)) await store.adopt(end);
    await this.#follower.start();
    for (const job of jobs) {
      const { name } = job;
      const queue = this.#queues.get(name)!;
      await queue.forget((ids) => store.ended(ids));
      const again = (row: RunRow) => queue.add({ ...row, requested_at: row.requested_at.getTime() });
      for (const row of await store.unended(name)) again(row);
      // Tending to one that has ended tells its end.
      for (const row of await store.untold(name)) await reporter.tell(row).catch(() => again(row));
      await job.sweep?.((ids) => store.ended(ids));
      await reporter.showHistory(name);
      this.#running.push(this.#work(queue));
    }
    this.#isCaughtUp = true;
  }

  async #work(queue: Queue): Promise<void> {
    const { clock, logger, retryMs } = this.#o;
    const { signal } = this.#stop;
    let isTroubled = false;
    for (;;) {
      const request = await queue.next(signal);
      if (request === null) return;
      try {
        if ((await this.#tend(request, { stop: signal }))?.told) queue.done(request);
        else await clock.sleep(retryMs, signal);
        isTroubled = false;
      } catch (error) {
        if (!isTroubled) logger.error({ event: 'run_not_tended', ...request, error: messageOf(error) });
        isTroubled = true;
        await clock.sleep(retryMs, signal);
      }
    }
  }

  /** One look at a run: does it if nobody else has the lease. Null while it has not ended. */
  async #tend(request: RunRequest, control: RunControl): Promise<RunRow | null> {
    const { store, reporter, performer, jobs } = this.#o;
    const { run_id, job_name } = request;
    const job = jobs.find(({ name }) => name === job_name)!;
    await store.ensure(request);
    const row = (await store.get(run_id))!;
    if (isEnded(row.status)) {
      if (row.told) return row;
      await reporter.tell(row);
      return await store.get(run_id);
    }
    const lease = await takeLease({ ...this.#o, boundMs: this.#o.leaseMs }, job_name, run_id);
    if (lease === null) return null;
    try {
      await faultPoint('run.leased', run_id);
      await performer.perform(job, run_id, lease, control);
    } finally {
      await lease.release();
    }
    const after = (await store.get(run_id))!;
    return isEnded(after.status) ? after : null;
  }
}

/** Requests of one job in order, each once. */
class Queue {
  readonly #requests = new Map<string, RunRequest>();
  #wake: () => void = () => undefined;

  add(request: RunRequest): void {
    if (this.#requests.has(request.run_id)) return;
    const { run_id, job_name, requested_at, requested_by, dry_run } = request;
    this.#requests.set(run_id, { run_id, job_name, requested_at, requested_by, dry_run });
    this.#wake();
  }

  done({ run_id }: RunRequest): void {
    this.#requests.delete(run_id);
  }

  /** Takes out what is known to have ended. */
  async forget(ended: (ids: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void> {
    for (const id of await ended([...this.#requests.keys()])) this.#requests.delete(id);
  }

  /** The first one, which stays until it is done; waits for one. Null: the signal came. */
  async next(signal: AbortSignal): Promise<RunRequest | null> {
    while (!signal.aborted) {
      const [first] = this.#requests.values();
      if (first !== undefined) return first;
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          signal.removeEventListener('abort', this.#wake);
          resolve();
        };
        signal.addEventListener('abort', this.#wake, { once: true });
      });
    }
    return null;
  }
}
