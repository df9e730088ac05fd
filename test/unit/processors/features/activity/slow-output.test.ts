/** The slower output: at most one record per user and interval, and no user lost, even when commits fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SlowOutput } from '../../../../../processors/features/activity/slow-output.js';
import { SavedColumns } from '../../../../../runtime/tasks/state/saved-columns.js';

const INTERVAL_MS = 100;

test('a user who waits because a day left, and then changes, holds back the marker like any other', () => {
  const slow = new SlowOutput(INTERVAL_MS);
  slow.swept(7);
  assert.equal(slow.oldestDue(50), 50);
  slow.changed(7, 40);
  assert.equal(slow.oldestDue(50), 40);
  assert.deepEqual(slow.take(1_000), [7], 'once');
  assert.equal(slow.oldestDue(50), 50, 'users written by this commit no longer wait');
  slow.committed(1_000);
  assert.ok(!slow.isSweeping);
  assert.ok(!slow.isDue(10_000));
});

test('a user who hurries does not wait for the interval', () => {
  const slow = new SlowOutput(INTERVAL_MS);
  slow.changed(1, 0);
  slow.take(1_000);
  slow.committed(1_000);
  slow.changed(1, 5);
  assert.deepEqual(slow.take(1_050), []);
  slow.hurry(1);
  assert.ok(slow.isDue(1_051));
  assert.deepEqual(slow.take(1_051), [1]);
});

type Step = { do: 'change' | 'sweep' | 'hurry'; user: number } | { do: 'commit' | 'lose' | 'restore'; ms: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('change', 'change', 'sweep', 'hurry'), user: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('commit', 'commit', 'lose', 'restore'), ms: fc.nat(150) }) },
);

test('a waiting user is written within the interval and not before, despite lost commits and restores', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      let slow = new SlowOutput(INTERVAL_MS);
      let now = 10_000;
      let offset = 0;
      const waiting = new Map<number, number>();
      const written = new Map<number, number>();
      for (const next of steps) {
        offset++;
        if ('user' in next) {
          if (next.do === 'hurry') {
            if (!waiting.has(next.user)) continue;
            slow.hurry(next.user);
            written.delete(next.user);
          } else if (next.do === 'sweep') {
            slow.swept(next.user);
            if (!waiting.has(next.user)) waiting.set(next.user, Number.POSITIVE_INFINITY);
          } else {
            slow.changed(next.user, offset);
            waiting.set(next.user, Math.min(waiting.get(next.user) ?? offset, offset));
          }
          continue;
        }
        now += next.ms;
        const ready = [...waiting.keys()].filter((user) => (written.get(user) ?? 0) + INTERVAL_MS <= now);
        if (next.do === 'restore') {
          // A checkpoint contains acknowledged commits only: no choice is open.
          const columns = new SavedColumns();
          slow.save(columns);
          const oldest = Math.min(offset + 1, ...waiting.values());
          slow = new SlowOutput(INTERVAL_MS);
          slow.load(columns, oldest, false);
          continue;
        }
        const taken = [...slow.take(now)].sort();
        assert.deepEqual(taken, ready.sort());
        const left = [...waiting].filter(([user]) => !taken.includes(user)).map(([, since]) => since);
        assert.equal(slow.oldestDue(offset + 1), Math.min(offset + 1, ...left));
        if (next.do === 'lose') assert.deepEqual([...slow.take(now)].sort(), taken, 'the choice stands');
        slow.committed(now);
        for (const user of taken) {
          waiting.delete(user);
          written.set(user, now);
        }
      }
    }),
    { seed: 4, numRuns: 500 },
  );
});
