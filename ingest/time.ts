/** Times as producers write them: ISO 8601 with any fraction and offset, or milliseconds since 1970. */
import { HOUR_MS, TIME_MS_MAX } from '../topics/time.js';
import { InputError, shown } from './input-error.js';

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,30}))?)?(?:([Zz])|([+-])(\d{2})(?::?(\d{2}))?)?$/;

/** ms since 1970 UTC, at most the end of 9999; a finer fraction is cut off. Throws InputError. */
export function parseTime(name: string, value: unknown): number {
  const ms = typeof value === 'number' ? Math.floor(value) : parseText(name, value);
  if (!(Math.abs(ms) <= TIME_MS_MAX))
    throw new InputError(
      `"${name}" is not a time before the year 10000, in milliseconds since 1970 (${shown(value)}).`,
    );
  return ms;
}

function parseText(name: string, value: unknown): number {
  if (typeof value !== 'string')
    throw new InputError(`"${name}" must be an ISO 8601 time or milliseconds since 1970 (${shown(value)}).`);
  const ms = parseIso(value);
  if (ms === 'no_offset')
    throw new InputError(`"${name}" has no time zone: end it with Z or an offset such as +02:00 (${shown(value)}).`);
  if (ms === null)
    throw new InputError(
      `"${name}" must be an ISO 8601 time such as 2025-06-01T12:00:00Z, or milliseconds since 1970 as a number (${shown(value)}).`,
    );
  return ms;
}

function parseIso(text: string): number | 'no_offset' | null {
  const match = ISO.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second = '0', fraction = '', zulu, sign, offsetHour = '0', offsetMinute] =
    match;
  // Date.UTC reads the years 0 to 99 as 1900 to 1999, so the year is set separately.
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return null;
  const seconds = Number(second);
  const fractionMs = Number(fraction.padEnd(3, '0').slice(0, 3));
  const endOfDay = Number(hour) === 24 && Number(minute) === 0 && seconds === 0 && Number(fraction || '0') === 0;
  if (Number(minute) > 59 || seconds > 60 || (Number(hour) > 23 && !endOfDay)) return null;
  // Unix time has no leap seconds: one counts as the last millisecond before the next minute.
  const withinMinuteMs = seconds === 60 ? 59_999 : seconds * 1000 + fractionMs;
  const local = date.getTime() + Number(hour) * HOUR_MS + Number(minute) * 60_000 + withinMinuteMs;
  if (zulu !== undefined) return local;
  if (sign === undefined) return 'no_offset';
  if (Number(offsetHour) > 23 || Number(offsetMinute ?? 0) > 59) return null;
  const offsetMs = (Number(offsetHour) * 60 + Number(offsetMinute ?? 0)) * 60_000;
  return sign === '+' ? local - offsetMs : local + offsetMs;
}
