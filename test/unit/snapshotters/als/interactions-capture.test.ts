/** The capture compared with a map of the newest records; what it refuses; its memory. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../runtime/process/errors.js';
import type { InteractionsCapture } from '../../../../snapshotters/als/interactions-capture.js';
import { pairList } from '../../../../snapshotters/als/pair-store.js';
import { columnsOf } from '../../../support/columns.js';
import { addRows, emptyCapture, encoded, type Item, type Row } from './scene.js';

const TOPIC = 'interactions.v1';

/** The contents of a capture, as plain values. */
function contents(capture: InteractionsCapture): Record<string, [product: string, weight: number, count: number][]> {
  const list = pairList();
  const found: ReturnType<typeof contents> = {};
  for (let user = 0; user < capture.users.count; user++) {
    capture.pairs.read(user, list);
    if (list.length === 0) continue;
    found[capture.users.stringOf(user)] = Array.from({ length: list.length }, (_, i) => [
      capture.products.stringOf(list.products[i]!),
      list.weights[i]!,
      list.counts[i]!,
    ]);
  }
  return found;
}

function expectedOf(rows: readonly Row[]): ReturnType<typeof contents> {
  const found: ReturnType<typeof contents> = {};
  for (const [user, items] of rows) {
    delete found[user];
    if (items === null || items.length === 0) continue;
    const sorted = [...items].sort(
      (a, b) => a.lastTs! - b.lastTs! || Buffer.compare(Buffer.from(a.product), Buffer.from(b.product)),
    );
    found[user] = sorted.map(({ product, weight, count }) => [product, Math.fround(weight), Math.min(255, count!)]);
  }
  return found;
}

const item = fc.record({
  product: fc.constantFrom('a', 'b', 'ü', 'p1', 'p2', 'p3', 'p10', 'q'),
  weight: fc.double({ min: 0, max: 100, noNaN: true }),
  count: fc.integer({ min: 1, max: 1000 }),
  lastTs: fc.integer({ min: 0, max: 3 }),
});
const items = fc.uniqueArray(item, { selector: ({ product }) => product, maxLength: 8 });
const row = fc.tuple(fc.constantFrom('u1', 'u2', 'u3', 'u4'), fc.option(items, { nil: null }));

describe('the capture of interactions', () => {
  test('holds the newest record of every user, oldest interaction first; a savepoint anywhere changes nothing', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), fc.array(row, { maxLength: 30 }), (before, after) => {
        const first = addRows(emptyCapture(), before);
        const second = emptyCapture();
        second.restore(first.save());
        addRows(second, after);
        assert.deepEqual(contents(second), expectedOf([...before, ...after]));
      }),
    );
  });

  test('gaps are closed: a million pairs rewritten repeatedly take at most a few times their size', () => {
    const capture = emptyCapture();
    const rows: Row[] = [];
    // Each round longer than the last: none fits in its old place.
    for (let round = 1; round <= 12; round++) {
      rows.length = 0;
      for (let user = 0; user < 600; user++) {
        const list: Item[] = Array.from({ length: round * 20 }, (_, i) => ({ product: `p${i}`, weight: round }));
        rows.push([`u${user}`, list]);
      }
      addRows(capture, rows);
    }
    assert.equal(capture.pairs.pairs, 600 * 240);
    assert.ok(capture.pairs.bytesHeld < 3 * capture.pairs.pairs * 9, `${capture.pairs.bytesHeld} bytes`);
    const all = contents(capture);
    assert.equal(Object.keys(all).length, 600);
    for (const list of Object.values(all)) {
      assert.equal(list.length, 240);
      assert.ok(list.every(([, weight]) => weight === 12));
    }
  });

  test('invalid records are refused by name, until the user has a valid one', () => {
    const wrong: [Item[], RegExp][] = [
      [[{ product: 'p', weight: Number.NaN }], /product "p" has the weight NaN/],
      [[{ product: 'p', weight: Number.POSITIVE_INFINITY }], /weight Infinity/],
      [[{ product: 'p', weight: -1 }], /weight -1/],
      [[{ product: 'p', weight: 1, count: 0 }], /count 0/],
      [
        [
          { product: 'p', weight: 1 },
          { product: 'p', weight: 2 },
        ],
        /product "p" appears twice/,
      ],
    ];
    for (const [list, said] of wrong) {
      const capture = addRows(emptyCapture(), [
        ['good', [{ product: 'q', weight: 1 }]],
        ['bad', list],
      ]);
      assert.equal(capture.refused.count, 1);
      assert.match(capture.refused.first!, /user "bad" \(interactions\.v1\[0\] at offset 1\)/);
      assert.match(capture.refused.first!, said);
      assert.deepEqual(Object.keys(contents(capture)), ['good']);
      const restored = emptyCapture();
      restored.restore(capture.save());
      assert.deepEqual(restored.refused, capture.refused);
      addRows(restored, [['bad', [{ product: 'q', weight: 2 }]]]);
      assert.equal(restored.refused.count, 0);
    }
  });

  test('bytes that are not Interactions, and a record under another key, are refused', () => {
    const capture = emptyCapture();
    const good = encoded('u', [{ product: 'p', weight: 1 }]);
    const records = [
      { key: 'cut', value: good.subarray(0, good.length - 3), timestamp: 0, offset: 0 },
      { key: 'text', value: Buffer.from('hello'), timestamp: 0, offset: 1 },
      { key: 'other', value: good, timestamp: 0, offset: 2 },
    ];
    const batch = columnsOf(TOPIC, 0, records);
    for (let i = 0; i < batch.count; i++) capture.add(batch, i);
    assert.equal(capture.refused.count, 3);
    assert.equal(capture.pairs.pairs, 0);
  });

  test('a truncated or changed savepoint is refused', () => {
    const saved = addRows(emptyCapture(), [['u', [{ product: 'p', weight: 1 }]]]).save();
    const isRefused = (bytes: Buffer) =>
      assert.throws(
        () => emptyCapture().restore(bytes),
        (error) => hasCode(error, 'invalid_data'),
      );
    for (const length of [0, 5, 20, saved.length - 1]) isRefused(saved.subarray(0, length));
    isRefused(Buffer.concat([saved, Buffer.alloc(1)]));
    isRefused(Buffer.concat([Buffer.from('ALSCAPT0'), saved.subarray(8)]));
  });

  test('needing more memory than allowed ends it with an explanation', () => {
    const capture = emptyCapture(1024);
    const rows = Array.from({ length: 300 }, (_, i): Row => [`u${i}`, [{ product: 'p', weight: 1 }]]);
    assert.throws(
      () => addRows(capture, rows),
      (error) => hasCode(error, 'settings') && /SNAPSHOT_MEMORY_MB/.test(String(error)),
    );
  });
});
