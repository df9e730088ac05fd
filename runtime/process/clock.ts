/** Wall clock, stopwatch and timers as a port, so that tests can move time by hand. */
export interface Clock {
  /** ms since 1970 UTC. */
  now(): number;
  /** ms since some moment. Unlike now() it never goes back or jumps: for durations and timeouts. */
  elapsed(): number;
  /** Resolves after ms, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    }),
};
