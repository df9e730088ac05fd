/** A bell for one loop that waits: rung while it does not, its next wait ends at once. */
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

  /** Resolves when it has been rung since the last wait, at the latest after `ms`. */
  async wait(ms: number): Promise<void> {
    if (!this.#isRung) {
      const rung = new AbortController();
      this.#wake = () => rung.abort();
      await this.#clock.sleep(ms, rung.signal);
    }
    this.#isRung = false;
  }
}
