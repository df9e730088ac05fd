/** What the embedded log will grow to, as `freshet doctor` says it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthOf } from '../../../../cli/doctor/growth.js';
import { DAY_MS } from '../../../../topics/time.js';

const TOPICS = [
  { name: 'events', cleanup: 'delete', retentionDays: 90 },
  { name: 'popularity', cleanup: 'compact', retentionDays: null },
  { name: 'late', cleanup: 'compact,delete', retentionDays: 30 },
] as const;

test('topics that keep records grow by their rate until their retention, compacted ones by their garbage', () => {
  const sizes = new Map([
    ['events', 1000],
    ['popularity', 50],
    ['late', 7],
    ['unknown', 1e9],
  ]);
  assert.deepEqual(growthOf(sizes, TOPICS, DAY_MS), { now: 1057, kept: 90_000 + 210, compacted: 150 });
  // After the retention, the size is what it is.
  assert.deepEqual(growthOf(sizes, TOPICS, 900 * DAY_MS), { now: 1057, kept: 1007, compacted: 150 });
});

test('a few seconds of events say nothing', () => {
  assert.equal(growthOf(new Map([['events', 1000]]), TOPICS, 5000).kept, null);
});
