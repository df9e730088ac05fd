import type { Clock } from '../../runtime/process/clock.js';

/** Shipped to users with the test driver; ours are among them. */
export { ManualClock } from '../../runtime/testing/manual-clock.js';

/** A clock that is wrong by as much as a test says: it may jump, also backwards. Its stop-watch and its waits are those of the right one. */
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
