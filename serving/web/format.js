/** Numbers, times and ids as people read them. Pure. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** Shown where there is no value. */
export const NOTHING = '–';

export function count(value) {
  return Number.isFinite(value) ? whole.format(value) : NOTHING;
}

/** One decimal, none from 1,000 on. */
export function score(value) {
  if (!Number.isFinite(value)) return NOTHING;
  return Math.abs(value) < 1000 ? oneDigit.format(value) : whole.format(value);
}

/** A change with its sign; one that rounds to zero is shown as nothing. */
export function change(value) {
  if (!Number.isFinite(value) || Math.abs(value) < 0.05) return NOTHING;
  return (value > 0 ? '+' : '−') + score(Math.abs(value));
}

/** A short time: 182 ms, 1.4 s, 3 min, never broken across lines. */
export function shortTime(ms) {
  if (!Number.isFinite(ms)) return NOTHING;
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  if (ms < 60_000) return `${oneDigit.format(ms / 1000)}\u00a0s`;
  return `${Math.round(ms / 60_000)}\u00a0min`;
}

/** A long time in its two largest units. */
export function longTime(seconds) {
  if (!Number.isFinite(seconds)) return NOTHING;
  const units = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3600) % 24],
    ['min', Math.floor(seconds / 60) % 60],
    ['s', Math.floor(seconds) % 60],
  ];
  const first = units.findIndex(([, value]) => value > 0);
  if (first < 0) return '0 s';
  return units
    .slice(first, first + 2)
    .map(([unit, value]) => `${value} ${unit}`)
    .join(' ');
}

/** An id in three pieces, the middle one being the telling one: garden- cedar-planter -12. Other ids are all middle. */
export function splitId(id, category) {
  const match = /^(.+?)(-\d+)?$/s.exec(id);
  if (match === null) return ['', id, ''];
  const [, body, tail = ''] = match;
  const head = `${category}-`;
  return body.startsWith(head) && body.length > head.length
    ? [head, body.slice(head.length), tail]
    : ['', body + tail, ''];
}

/**
 * Shares (adding up to 1) in tenths of a percent that add up to exactly 100.0: each is rounded down, and those that
 * lost most get the remaining tenths.
 */
export function percentages(shares) {
  const sum = shares.reduce((total, share) => total + share, 0);
  if (!(sum > 0)) return shares.map(() => 0);
  const exact = shares.map((share) => (share / sum) * 1000);
  const floors = exact.map(Math.floor);
  let left = 1000 - floors.reduce((total, floor) => total + floor, 0);
  const byLoss = exact.map((_, index) => index).sort((a, b) => exact[b] - floors[b] - (exact[a] - floors[a]));
  for (const index of byLoss) {
    if (left <= 0) break;
    floors[index]++;
    left--;
  }
  return floors.map((tenths) => tenths / 10);
}

const dayAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** Day and time in the reader's time zone. */
export function dateTime(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : dayAndTime.format(date);
}

/** UTC time of day. */
export function timeOfDay(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : `${date.toISOString().slice(11, 19)} UTC`;
}
