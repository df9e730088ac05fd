/** UTC days as readers and sinks need them. */
import { DAY_MS } from '../topics/time.js';

/** Days since 1970 UTC. */
export function utcDay(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/**
 * The moment of day `day` that is nearest to `ms`. A score may be recomputed only within the day of its row, because at
 * midnight a bucket leaves the window and no formula knows how much was in it.
 */
export function withinDay(day: number, ms: number): number {
  return Math.min(Math.max(ms, day * DAY_MS), (day + 1) * DAY_MS - 1);
}
