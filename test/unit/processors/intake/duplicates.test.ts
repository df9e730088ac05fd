import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DuplicateSet } from '../../../../processors/intake/duplicates.js';
import { identity } from '../../../../processors/intake/identity.js';

const HORIZON_MS = 6 * 3_600_000;

function idOf(text: string): Int32Array {
  const id = new Int32Array(4);
  identity(Buffer.from(text), 0, Buffer.byteLength(text), id);
  return id;
}

test('the horizon is exact on both sides', () => {
  for (const [gap, expected] of [
    [HORIZON_MS, true],
    [HORIZON_MS + 1, false],
    [0, true],
  ] as const) {
    const set = new DuplicateSet(HORIZON_MS);
    assert.equal(set.seen(idOf('a'), 1_000_000_007), false);
    assert.equal(set.seen(idOf('a'), 1_000_000_007 + gap), expected);
  }
});

test('a duplicate keeps its identity alive: the last sight counts, not the first', () => {
  const set = new DuplicateSet(HORIZON_MS);
  let clock = 5_000_000_000;
  assert.equal(set.seen(idOf('a'), clock), false);
  for (let i = 0; i < 10; i++) {
    clock += HORIZON_MS - 1;
    assert.equal(set.seen(idOf('a'), clock), true);
  }
});

test('agrees with a plain map over any sequence of identities and clocks', () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: HORIZON_MS }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const set = new DuplicateSet(HORIZON_MS);
      const plain = new Map<number, number>();
      let clock = 1_700_000_000_000;
      for (const [id, ahead] of steps) {
        clock += ahead;
        const before = plain.get(id);
        const expected = before !== undefined && clock - before <= HORIZON_MS;
        assert.equal(set.seen(idOf(`event ${id}`), clock), expected);
        plain.set(id, clock);
      }
    }),
  );
});

test('drops whole generations: memory follows the horizon, not the history', () => {
  const set = new DuplicateSet(HORIZON_MS);
  const hour = 3_600_000;
  for (let h = 0; h < 100; h++) for (let i = 0; i < 500; i++) set.seen(idOf(`${h}/${i}`), h * hour + i);
  assert.ok(set.size <= 8 * 500, `${set.size} identities kept`);
});

test('identities of a hundred thousand similar strings are all different', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 100_000; i++) seen.add(idOf(`e-${i}`).join('/'));
  assert.equal(seen.size, 100_000);
});
