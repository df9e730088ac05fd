/** Lengths of time, and the latest time, ms. */

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** End of the year 9999: the latest time that every store, and ISO 8601 with four digits, can hold. */
export const TIME_MS_MAX = 253_402_300_799_999;
