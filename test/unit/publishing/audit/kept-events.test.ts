/** A sample keeps its events unchanged, stays within bounds, and drops what it should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeptEvents } from '../../../../publishing/audit/kept-events.js';
import { type CountedEvent, utcDay } from '../../../../publishing/audit/reference.js';

const NOON = Date.UTC(2026, 10, 3, 12);
const DAY_MS = 86_400_000;
const ALL = { share: 1, salt: '', keysMax: 1_000, eventsMax: 10_000 };

function event(over: Partial<CountedEvent> = {}): CountedEvent {
  const rest = { user: '', product: '', category: null, type: 'view' } as const;
  return { partition: 3, offset: 7, ts: NOON, ...rest, ...over };
}

function add(kept: KeptEvents, id: string, over: Partial<CountedEvent> = {}): void {
  const one = event(over);
  kept.add(id, utcDay(one.ts), one);
}

test('events of users keep time, type, place, product, and the category if there is one', () => {
  const kept = new KeptEvents('users', ALL);
  add(kept, 'u', { type: 'purchase', category: 'hats', product: 'p1', ts: NOON + 1 });
  add(kept, 'u', { type: 'add_to_cart', product: 'p2', partition: 11, offset: 2 ** 40 });
  for (let i = 0; i < 20; i++) add(kept, 'u', { category: 'shoes', product: 'p1', offset: i });
  const [first, second] = kept.of('u');
  assert.deepEqual(first, event({ type: 'purchase', category: 'hats', product: 'p1', ts: NOON + 1 }));
  assert.deepEqual(second, event({ type: 'add_to_cart', product: 'p2', partition: 11, offset: 2 ** 40 }));
  assert.deepEqual(
    kept.of('u').map(({ offset }) => offset),
    [7, 2 ** 40, ...Array.from({ length: 20 }, (_, i) => i)],
  );
  assert.deepEqual([...kept.lookedUp()], ['p1', 'p2']);
  assert.equal(kept.events, 22);
});

test('an erasure removes earlier events; the key stays known, to check what must be gone', () => {
  const kept = new KeptEvents('users', ALL);
  add(kept, 'u', { offset: 1 });
  kept.erase('u', utcDay(NOON), 2);
  add(kept, 'u', { offset: 3 });
  assert.deepEqual([kept.of('u').map(({ offset }) => offset), kept.erasedAt('u'), kept.events], [[3], 2, 1]);
  kept.erase('v', utcDay(NOON), 9);
  assert.deepEqual(kept.ids(), ['u', 'v']);
  kept.forget(0, utcDay(NOON));
  assert.deepEqual(kept.ids(), ['u', 'v']);
  kept.forget(0, utcDay(NOON) + 1);
  assert.deepEqual(kept.ids(), ['u']);
});

test('events are dropped by their time, and the rest stays in order', () => {
  const kept = new KeptEvents('users', ALL);
  for (let i = 0; i < 10; i++) add(kept, 'u', { ts: NOON - (i % 3) * DAY_MS, offset: i, product: `p${i}` });
  kept.forget(NOON - DAY_MS, 0);
  assert.deepEqual(
    kept.of('u').map(({ offset, product }) => [offset, product]),
    [0, 1, 3, 4, 6, 7, 9].map((i) => [i, `p${i}`]),
  );
  assert.equal(kept.events, 7);
});

test('the share holds for any ids, another salt chooses others, and the bounds shrink it', () => {
  const share = (salt: string) => {
    const kept = new KeptEvents('products', { ...ALL, share: 0.1, salt });
    return Array.from({ length: 20_000 }, (_, i) => `product-${i}`).filter((id) => kept.holds(id));
  };
  const [a, b] = [share('a'), share('b')];
  for (const held of [a, b]) assert.ok(held.length > 1_800 && held.length < 2_200, `${held.length}`);
  const both = a.filter((id) => b.includes(id)).length;
  assert.ok(both > 100 && both < 320, `${both} in both`);

  const bounded = new KeptEvents('products', { ...ALL, keysMax: 50 });
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 1_000; i++) if (bounded.holds(`p${i}`)) add(bounded, `p${i}`, { offset: i });
  assert.ok(bounded.keys <= 50 && bounded.keys > 20);
  for (const id of bounded.ids()) assert.equal(bounded.of(id).length, 2, 'the keys that stay are complete');
  assert.ok(Math.abs(bounded.share - bounded.keys / 1_000) < 0.02, `${bounded.share}`);

  const heavy = new KeptEvents('products', { ...ALL, eventsMax: 100 });
  for (let i = 0; i < 5_000; i++) if (heavy.holds(`p${i % 7}`)) add(heavy, `p${i % 7}`, { offset: i });
  assert.ok(heavy.events <= 100);
});

test('holds exactly the requested keys, without bounds', () => {
  const kept = new KeptEvents('products', { ...ALL, keysMax: 1, eventsMax: 1 }, new Set(['a', 'b']));
  for (const id of ['a', 'b', 'a']) add(kept, id);
  assert.deepEqual([kept.holds('a'), kept.holds('c'), kept.events, kept.isAll], [true, false, 3, false]);
});
