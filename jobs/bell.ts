/** Wakes one loop. If it is rung while the loop is busy, the next wait returns at once. */
import type { Clock } from '../runtime/process/clock.js';

export class Bell {
  readonly #clock: Clock;
  #isRung = false;
  #wake: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#isRung = true;
    this.#wake();
  }

  /** Resolves when it has been rung since the last wait, after `ms` at the latest. */
  async wait(ms: number): Promise<void> {
    if (!this.#isRung) {
      const rung = new AbortController();
      this.#wake = () => rung.abort();
      await this.#clock.sleep(ms, rung.signal);
    }
    this.#isRung = false;
  }
}
