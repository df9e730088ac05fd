/** The kept head of a ranking equals the ranking, however the members change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareBytes, RankedSet } from '../../../../../runtime/stores/local/ranked-set.js';
import { rankedNaively } from '../../../../conformance/naive-store.js';

const SEED = 20_240_229;

test('members compare like their UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.equal(compareBytes(a, a), 0);
    }),
    { seed: SEED, numRuns: 500 },
  );
  assert.ok(compareBytes('\uffff', '\u{10000}') < 0, 'JavaScript has these two the other way round');
});

test('the head follows thousands of changes near its end', () => {
  const set = new RankedSet();
  const scores = new Map<string, number>();
  const changes = fc.sample(fc.tuple(fc.nat(3_000), fc.integer({ min: 0, max: 500 }), fc.nat(3)), {
    numRuns: 12_000,
    seed: SEED,
  });
  for (const [i, [who, score, kind]] of changes.entries()) {
    const member = `m${who}`;
    if (kind === 0) {
      assert.equal(set.remove(member), scores.delete(member));
    } else {
      set.add(member, score);
      scores.set(member, score);
    }
    // Read rarely enough for the head to shrink, and often enough for it to exist.
    if (i % 173 !== 0) continue;
    for (const limit of [20, 950]) assert.deepEqual(set.top(limit), rankedNaively(scores).slice(0, limit));
    if (i % (173 * 7) === 0) assert.deepEqual(set.top(1_000), rankedNaively(scores).slice(0, 1_000));
  }
  assert.deepEqual(set.top(5_000), rankedNaively(scores));
  for (const member of scores.keys()) set.remove(member);
  assert.deepEqual(set.top(10), []);
  set.add('again', 1);
  assert.deepEqual(set.top(10), [{ member: 'again', score: 1 }]);
});

test('a result is a copy', () => {
  const set = new RankedSet();
  set.add('a', 1);
  set.top(1).pop();
  assert.equal(set.top(1).length, 1);
});
