/**
 * A value that many requests use and that may be some seconds old: the first request waits for it, later ones get the
 * current value while it is reloaded. If a reload fails, the last good value stays.
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

  /** Throws the error of the load, but only if no load has succeeded yet. */
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
