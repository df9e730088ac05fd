import type { Clock } from '../process/clock.js';

/** Time that moves only when a test moves it. Sleepers wake in order of their time. */
export class ManualClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<{ until: number; wake: () => void }>();

  constructor(nowMs: number) {
    this.#now = nowMs;
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  /** Never backwards. */
  moveTo(ms: number): void {
    this.#now = Math.max(this.#now, ms);
    const due = [...this.#sleepers].filter(({ until }) => until <= this.#now).sort((a, b) => a.until - b.until);
    for (const { wake } of due) wake();
  }

  advance(ms: number): void {
    this.moveTo(this.#now + ms);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve();
      const sleeper = {
        until: this.#now + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', sleeper.wake, { once: true });
    });
  }
}
