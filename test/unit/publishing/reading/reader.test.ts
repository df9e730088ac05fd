import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rankScore } from '../../../../publishing/layout.js';
import { popularItem } from '../../../../publishing/reading/reader.js';
import { utcDay, withinDay } from '../../../../publishing/utc-day.js';

const HOUR_MS = 3_600_000;
const HALF_LIFE_MS = 24 * HOUR_MS;
const NOON = Date.UTC(2024, 1, 29, 12);

describe('a score in a list', () => {
  const item = (asOf: number, now: number) =>
    popularItem('p', 'c', rankScore(8, asOf, HALF_LIFE_MS), utcDay(asOf), now, HALF_LIFE_MS);
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) <= 1e-9 * expected, `${actual} is not ${expected}`);

  test('is for the time of the answer within the day of its row', () => {
    const { score, asOf } = item(NOON, NOON + 6 * HOUR_MS);
    near(score, 8 * 2 ** -0.25);
    assert.equal(asOf, undefined);
  });

  test('is for the last millisecond of its day after midnight, and says so', () => {
    const lastMs = Date.UTC(2024, 2, 1) - 1;
    const { score, asOf } = item(NOON, Date.UTC(2024, 2, 1, 3));
    assert.equal(asOf, lastMs);
    near(score, 8 * 2 ** (-(lastMs - NOON) / HALF_LIFE_MS));
    assert.equal(item(NOON, lastMs).asOf, undefined);
    assert.equal(item(NOON, lastMs + 1).asOf, lastMs);
  });

  test('is for the first millisecond of its day when the reader’s clock is behind midnight', () => {
    const midnight = Date.UTC(2024, 2, 1);
    const { score, asOf } = item(midnight + 500, midnight - 1000);
    assert.equal(asOf, midnight);
    near(score, 8 * 2 ** (500 / HALF_LIFE_MS));
  });
});

test('is for a day that ends with its last millisecond, also before 1970', () => {
  assert.equal(withinDay(0, -1), 0);
  assert.equal(withinDay(0, 86_400_000), 86_399_999);
  assert.equal(utcDay(-1), -1);
  assert.equal(withinDay(-1, 5), -1);
});
