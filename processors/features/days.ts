/** Days and decay, shared by every windowed feature. Formulas: docs/ARCHITECTURE.md, "Formulas". */
import { WINDOW_DAYS } from '../../topics/limits.js';
import { DAY_MS } from '../../topics/time.js';

/** UTC day of a time, in days since 1970. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** First day of the window that ends with the day of `ms`. */
export function windowStart(ms: number): number {
  return dayOf(ms) - (WINDOW_DAYS - 1);
}

/** What an event of weight w adds to the sum of its day: w · 2^((ts − start of day)/H). Relative to its own day, so nothing overflows. */
export function dayContribution(weight: number, ts: number, day: number, halfLifeMs: number): number {
  return weight * 2 ** ((ts - day * DAY_MS) / halfLifeMs);
}

/**
 * Factors 2^(−lag·day/H) for lags of 0 to 89 days. Sums are first carried to the start of the entity's newest day and
 * only then to as_of, so that no half-life, however short, makes a share 0/0.
 */
export function lagFactors(halfLifeMs: number): Float64Array {
  return Float64Array.from({ length: WINDOW_DAYS }, (_, lag) => 2 ** ((-lag * DAY_MS) / halfLifeMs));
}

/** The factor that carries a sum from the start of a day to as_of. */
export function carry(day: number, asOfMs: number, halfLifeMs: number): number {
  return 2 ** ((day * DAY_MS - asOfMs) / halfLifeMs);
}
