/**
 * Guards log time against a wrong clock of the machine. Log time never goes back, so one start with a clock that is
 * months ahead would make every later event late until that day.
 */
import { uptime } from 'node:os';
import { DAY_MS } from '../../../topics/time.js';
import type { Clock } from '../../process/clock.js';
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';

/** A log may rest for this long without anybody having to say that the clock is right. */
const AHEAD_MS_MAX = 30 * DAY_MS;
/** While the clock is behind the newest record, log time stands still. */
const BEHIND_MS_MAX = DAY_MS;
/** How far log time may be ahead of what has passed since the log was opened: corrections of a clock are smaller. */
const STEP_MS_MAX = 60_000;

/** Time since the machine was started, with the time that it slept, ms: unlike the clock, nobody sets it. */
export const uptimeMs = (): number => uptime() * 1000;

/**
 * Throws FreshetError('state') when the clock (`nowMs`) is far from the newest record of the log (`newestMs`, 0 if there
 * is none), so that one of the two must be wrong.
 */
export function checkClock(folder: string, newestMs: number, nowMs: number): void {
  const aheadMs = nowMs - newestMs;
  if (newestMs === 0 || (aheadMs <= AHEAD_MS_MAX && aheadMs >= -BEHIND_MS_MAX)) return;
  const days = (ms: number) => `${(ms / DAY_MS).toFixed(1)} days`;
  const [what, effect] =
    aheadMs > 0
      ? [`${days(aheadMs)} after`, 'A clock that is ahead would make later events late until the day it shows.']
      : [
          `${days(-aheadMs)} before`,
          'Until the clock has caught up, all records would get the time of the newest one.',
        ];
  throw new FreshetError(
    'state',
    `The clock of this machine shows ${new Date(nowMs).toISOString()}, ${what} the newest record in ${folder} ` +
      `(${new Date(newestMs).toISOString()}). ${effect} Correct the clock; if it is right, start once with ACCEPT_CLOCK_JUMP=true.`,
  );
}

/**
 * The clock, held to at most a minute more than has passed by `elapsedMs` since now. The first time is logged. Asking
 * the system for its uptime costs microseconds, and log time is asked for with every record: the stopwatch of the clock,
 * which may stand still while the machine sleeps, is enough as long as the clock is not ahead of it.
 */
export function boundedClock(clock: Clock, elapsedMs: () => number, logger: Logger): Clock {
  const startMs = clock.now();
  const startElapsedMs = elapsedMs();
  /** A time that was right, and the stopwatch then. */
  let rightMs = startMs;
  let stopwatchMs = clock.elapsed();
  let isLogged = false;
  const bounded = (): number => {
    const now = clock.now();
    const stopwatch = clock.elapsed();
    if (now <= rightMs + (stopwatch - stopwatchMs) + STEP_MS_MAX) return now;
    rightMs = startMs + (elapsedMs() - startElapsedMs);
    stopwatchMs = stopwatch;
    const latest = rightMs + STEP_MS_MAX;
    if (now <= latest) return now;
    if (!isLogged)
      logger.error(
        { event: 'log_clock_ahead', ahead_ms: Math.round(now - rightMs) },
        `The clock of this machine was set to ${new Date(now).toISOString()} while the log was open. Log time does not ` +
          'follow it. Correct the clock, or restart if it is right',
      );
    isLogged = true;
    return latest;
  };
  return { now: bounded, elapsed: () => clock.elapsed(), sleep: (ms, signal) => clock.sleep(ms, signal) };
}
