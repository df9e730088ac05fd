/** Retries with growing pauses, up to a time limit, and no longer than the owner lives. */
import { systemClock } from '../../../process/clock.js';
import { FreshetError, messageOf } from '../../../process/errors.js';
import { CONCURRENT_TRANSACTIONS, KafkaError, passes } from '../wire/errors.js';

export interface Patience {
  /** How long to keep trying, ms. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** For the message when patience ends: "writing to events[3]". */
  readonly what: string;
}

/** The n-th pause (n ≥ 0): doubled each time, with jitter between half and all of it, so that clients do not align. */
export function pauseMs(n: number, firstMs = 50, lastMs = 1000): number {
  const whole = Math.min(lastMs, firstMs * 2 ** Math.min(n, 20));
  return whole / 2 + (Math.random() * whole) / 2;
}

export function closedError(what: string): FreshetError {
  return new FreshetError('state', `${what}: it was closed`);
}

/**
 * Calls `attempt` until it succeeds or fails with an error that does not pass by itself. When patience ends, throws
 * FreshetError('timeout') with the last error as its cause; 'state' when the owner was closed meanwhile.
 */
export async function persist<T>(patience: Patience, attempt: (n: number) => Promise<T>): Promise<T> {
  const { signal, what } = patience;
  const deadline = Date.now() + patience.limitMs;
  for (let n = 0; ; n++) {
    if (signal.aborted) throw closedError(what);
    try {
      return await attempt(n);
    } catch (error) {
      if (signal.aborted) throw closedError(what);
      if (!passes(error)) throw error;
      const waitMs = pauseAfter(error, n);
      if (Date.now() + waitMs > deadline) {
        const seconds = Math.round(patience.limitMs / 1000);
        throw new FreshetError('timeout', `${what}: not done within ${seconds} s; last error: ${messageOf(error)}`, {
          cause: error,
        });
      }
      await systemClock.sleep(waitMs, signal);
    }
  }
}

/** Markers of the previous transaction take milliseconds; a broker that is gone takes seconds. */
function pauseAfter(error: unknown, n: number): number {
  if (error instanceof KafkaError && error.number === CONCURRENT_TRANSACTIONS) return pauseMs(n, 2, n < 20 ? 20 : 200);
  return pauseMs(n);
}
