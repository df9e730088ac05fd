/** The offsets that an application has reached, per input partition, and the callers that wait for it to reach more. */
import type { TopicPartition } from '../log/log.js';

interface Waiter {
  readonly missing: Map<string, number>;
  readonly resolve: () => void;
}

export class ReachedOffsets {
  readonly #reached = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();

  /** Next offset of a partition; 0 before anything was reported. */
  of({ topic, partition }: TopicPartition): number {
    return this.#reached.get(`${topic}/${partition}`) ?? 0;
  }

  advance(positions: readonly (TopicPartition & { offset: number })[]): void {
    for (const { topic, partition, offset } of positions) {
      const key = `${topic}/${partition}`;
      this.#reached.set(key, offset);
      for (const waiter of this.#waiters) {
        if ((waiter.missing.get(key) ?? Number.POSITIVE_INFINITY) > offset) continue;
        waiter.missing.delete(key);
        if (waiter.missing.size > 0) continue;
        this.#waiters.delete(waiter);
        waiter.resolve();
      }
    }
  }

  /** Resolves when every partition has reached its offset, or when the signal aborts. */
  waitFor(ends: readonly (TopicPartition & { offset: number })[], signal?: AbortSignal): Promise<void> {
    const missing = new Map<string, number>();
    for (const { topic, partition, offset } of ends)
      if (this.of({ topic, partition }) < offset) missing.set(`${topic}/${partition}`, offset);
    if (missing.size === 0 || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const waiter: Waiter = { missing, resolve };
      this.#waiters.add(waiter);
      signal?.addEventListener(
        'abort',
        () => {
          this.#waiters.delete(waiter);
          resolve();
        },
        { once: true },
      );
    });
  }
}
