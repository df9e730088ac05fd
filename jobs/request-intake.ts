/**
 * The topic run-requests as a way to request runs: its records become rows of the queue. Any number of processes may
 * follow it.
 *
 * A run that run-results reports as ended has ended, even if the database is an older copy or empty: results are read
 * first, so that no request is executed a second time.
 */
import type { Clock } from '../runtime/process/clock.js';
import { messageOf } from '../runtime/process/errors.js';
import type { RunRequest, RunResult } from '../schemas/records.js';
import { runRequests, runResults } from '../topics/jobs.js';
import type { RunStore } from './run-store.js';
import { type FollowerOptions, TopicFollower } from './topic-follower.js';

interface RequestIntakeOptions extends FollowerOptions {
  readonly clock: Clock;
  readonly store: Pick<RunStore, 'request' | 'adopt'>;
  /** Delay before the next try after an error, ms. */
  readonly retryMs: number;
}

export class RequestIntake {
  readonly #o: RequestIntakeOptions;
  readonly #requests: TopicFollower<RunRequest>;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #trouble: string | null = null;

  constructor(options: RequestIntakeOptions) {
    this.#o = options;
    this.#requests = new TopicFollower<RunRequest>(options, {
      ...runRequests,
      take: ({ requested_at, ...request }, on) =>
        options.store.request({ ...request, requested_at: new Date(requested_at) }, on),
    });
  }

  /** Why requests cannot be read at the moment; null if they can. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /**
   * Resolves when all existing requests are in Postgres; it then continues in the background. Errors: those of log and
   * database.
   */
  async start(): Promise<void> {
    await this.#adoptEnds();
    await this.#requests.catchUp();
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // At once, because a reader may be waiting; and again, because one may have been opened in the meantime.
    await this.#requests.close();
    await this.#running;
    await this.#requests.close();
  }

  async #adoptEnds(): Promise<void> {
    const results = new TopicFollower<RunResult>(this.#o, {
      ...runResults,
      take: (ended, on) => this.#o.store.adopt(ended, on),
    });
    try {
      await results.catchUp();
    } finally {
      await results.close();
    }
  }

  async #follow(): Promise<void> {
    const { clock, logger, retryMs } = this.#o;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#requests.step();
        this.#trouble = null;
      } catch (error) {
        if (signal.aborted) return;
        if (this.#trouble === null) logger.error({ event: 'run_requests_unread', error: messageOf(error) });
        this.#trouble = messageOf(error);
        await this.#requests.close();
        await clock.sleep(retryMs, signal);
      }
    }
  }
}
