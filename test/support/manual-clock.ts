import type { Clock } from '../../runtime/process/clock.js';

/** Shipped to users with the test driver, and used by our own tests. */
export { ManualClock } from '../../runtime/testing/manual-clock.js';

/**
 * A clock with an error set by the test: it may jump, also backwards. Its stop-watch and waits are those of the correct
 * clock.
 */
export class SkewedClock implements Clock {
  skewMs = 0;
  readonly #right: Clock;

  constructor(right: Clock) {
    this.#right = right;
  }

  now(): number {
    return this.#right.now() + this.skewMs;
  }

  elapsed(): number {
    return this.#right.elapsed();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#right.sleep(ms, signal);
  }
}
