/**
 * The topic run-requests as a way in: its records become rows of the queue. Any number of processes may follow it.
 *
 * What run-results says has ended has ended, also where the database is an older copy or an empty one: those ends come
 * in first, so that no request is done a second time.
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
  /** How soon it tries again after an error, ms. */
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

  /** Why requests are not read just now; null: they are. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Resolves when all that was there is in Postgres; then it goes on by itself. Errors: those of the log and the database. */
  async start(): Promise<void> {
    await this.#adoptEnds();
    await this.#requests.catchUp();
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // At once, as a reader may be waiting; and again, as one may have been opened meanwhile.
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
        this.#trouble = `requests for runs cannot be read: ${messageOf(error)}`;
        await this.#requests.close();
        await clock.sleep(retryMs, signal);
      }
    }
  }
}
