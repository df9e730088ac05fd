/** Whether everything in this process has caught up, and what it is waiting for. */
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { messageOf } from '../runtime/process/errors.js';
import type { Stores } from '../runtime/stores/open-stores.js';
import type { Application } from '../runtime/tasks/application.js';
import type { Readiness } from '../serving/ports.js';
import { events } from '../topics/events.js';

const LOOK_MS = 1_000;
/** How long an answer of the log may take. */
const LOG_MS_MAX = 2_000;

/** Something that is not ready, or makes no progress. */
export interface Waiting {
  readonly name: string;
  /** May contain addresses and paths. */
  readonly reason?: string;
}

interface Watched {
  readonly applications: readonly Application[];
  /** Other parts that are not ready, or stuck. */
  readonly others: () => readonly Waiting[];
  readonly stores: Stores | null;
  readonly log: Log;
}

export class ReadinessWatch {
  /** Resolves as soon as everything is ready. */
  readonly ready: Promise<void>;
  #setReady: () => void = () => undefined;
  #watched: Watched | null = null;
  #stores: readonly Waiting[] = [];

  constructor() {
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  current(): Readiness {
    if (this.#watched === null) return { ready: false, waiting: ['the start'] };
    const { applications, others } = this.#watched;
    const waiting: Waiting[] = [
      ...applications.flatMap((application) => application.waiting.map((name) => ({ name }))),
      ...applications.flatMap((application) =>
        application.failures.map(({ task, error }) => ({ name: `${task}, which has stopped`, reason: error.message })),
      ),
      ...others(),
      ...this.#stores,
    ];
    const reasons = waiting.flatMap(({ name, reason }) => (reason === undefined ? [] : [[name, reason] as const]));
    return {
      ready: waiting.length === 0,
      waiting: waiting.map(({ name }) => name),
      reasons: Object.fromEntries(reasons),
    };
  }

  /** Keeps the list of what is not ready up to date, including the stores, until the signal aborts. */
  async follow(watched: Watched, clock: Clock, signal: AbortSignal): Promise<void> {
    this.#watched = watched;
    const { stores, log } = watched;
    const logAnswers = new SlowLook('the log, which does not answer', () =>
      log.offsets({ topic: events.name, partition: 0 }),
    );
    while (!signal.aborted) {
      const looks = [
        logAnswers.look(clock),
        ...(stores === null ? [] : [look('the online store', stores.store), look('the database', stores.database)]),
      ];
      this.#stores = (await Promise.all(looks)).flat();
      const { ready } = this.current();
      if (ready) this.#setReady();
      await clock.sleep(ready ? LOOK_MS : LOOK_MS / 10, signal);
    }
  }
}

/** A log that cannot be reached is tried for long before it gives up: one request at a time, and patience for each. */
class SlowLook {
  readonly #name: string;
  readonly #ask: () => Promise<unknown>;
  #pending: Promise<Waiting[]> | null = null;

  constructor(name: string, ask: () => Promise<unknown>) {
    this.#name = name;
    this.#ask = ask;
  }

  async look(clock: Clock): Promise<Waiting[]> {
    this.#pending ??= this.#ask()
      .then(
        () => [],
        (error: unknown) => [{ name: this.#name, reason: messageOf(error) }],
      )
      .finally(() => {
        this.#pending = null;
      });
    const patience = new AbortController();
    const late = clock.sleep(LOG_MS_MAX, patience.signal).then(() => [{ name: this.#name }]);
    return await Promise.race([this.#pending, late]).finally(() => patience.abort());
  }
}

async function look(name: string, store: { ping(): Promise<unknown> }): Promise<Waiting[]> {
  try {
    await store.ping();
    return [];
  } catch (error) {
    return [{ name: `${name}, which does not answer`, reason: messageOf(error) }];
  }
}
