/**
 * A value that many requests use and that may be some seconds old: the first one waits for it, later ones get what there
 * is while it is asked for anew. A failure leaves the last good one standing.
 */
import type { Clock } from '../../runtime/process/clock.js';

export class KeptFresh<T> {
  readonly #load: () => Promise<T>;
  readonly #clock: Pick<Clock, 'elapsed'>;
  readonly #maxAgeMs: number;
  #held: { readonly value: T; readonly at: number } | null = null;
  #loading: Promise<T> | null = null;

  constructor(load: () => Promise<T>, clock: Pick<Clock, 'elapsed'>, maxAgeMs: number) {
    this.#load = load;
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Errors: those of the load, only where nothing has been loaded yet. */
  get(): Promise<T> {
    const held = this.#held;
    if (held === null) return this.#reload();
    if (this.#clock.elapsed() - held.at >= this.#maxAgeMs) this.#reload().catch(() => undefined);
    return Promise.resolve(held.value);
  }

  #reload(): Promise<T> {
    this.#loading ??= this.#load()
      .then((value) => {
        this.#held = { value, at: this.#clock.elapsed() };
        return value;
      })
      .finally(() => {
        this.#loading = null;
      });
    return this.#loading;
  }
}
