/** Whether everything in this process has caught up, and what it is waiting for. */
import type { Clock } from '../runtime/process/clock.js';
import { asError } from '../runtime/process/errors.js';
import type { Stores } from '../runtime/stores/open-stores.js';
import type { Application } from '../runtime/tasks/application.js';
import type { Readiness } from '../serving/ports.js';

const LOOK_MS = 1_000;

interface Watched {
  readonly applications: readonly Application[];
  /** Names of other parts that may not be ready yet. */
  readonly others: () => readonly string[];
  readonly stores: Stores | null;
}

export class ReadinessWatch {
  /** Resolves as soon as everything is ready. */
  readonly ready: Promise<void>;
  #setReady: () => void = () => undefined;
  #watched: Watched | null = null;
  #storesWait: string | null = null;

  constructor() {
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  current(): Readiness {
    if (this.#watched === null) return { ready: false, waiting: ['the start'] };
    const { applications, others } = this.#watched;
    const waiting = [
      ...applications.flatMap((application) => application.waiting),
      ...applications
        .flatMap((application) => application.failures)
        .map(({ task, error }) => `${task}, which has stopped: ${error.message}`),
      ...others(),
      ...(this.#storesWait === null ? [] : [this.#storesWait]),
    ];
    return { ready: waiting.length === 0, waiting };
  }

  /** Keeps the list of what is not ready up to date, including the stores, until the signal aborts. */
  async follow(watched: Watched, clock: Clock, signal: AbortSignal): Promise<void> {
    this.#watched = watched;
    const { stores } = watched;
    while (!signal.aborted) {
      try {
        await Promise.all([stores?.store.ping(), stores?.database.ping()]);
        this.#storesWait = null;
      } catch (error) {
        this.#storesWait = `a store that does not answer: ${asError(error).message}`;
      }
      const { ready } = this.current();
      if (ready) this.#setReady();
      await clock.sleep(ready ? LOOK_MS : LOOK_MS / 10, signal);
    }
  }
}
