import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createShop } from '../../../../cli/demo/shop.js';
import { traffic } from '../../../../cli/demo/traffic.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Event } from '../../../../schemas/records.js';

const NOW_MS = Date.UTC(2026, 4, 20, 15, 30);
const shop = createShop(1, NOW_MS);

/** The traffic within this many seconds, requested ten times a second. */
function run(seconds: number, rate: number, from = traffic(shop, NOW_MS)): Event[] {
  return Array.from({ length: seconds * 10 }, (_, i) => from.next(NOW_MS + (i + 1) * 100, rate)).flat();
}

const firstSends = (events: readonly Event[]) => [...new Map(events.map((event) => [event.event_id, event])).values()];

test('the same times and rates give the same traffic', () => {
  assert.deepEqual(run(60, 20), run(60, 20));
});

test('the rate is the configured one, however high', () => {
  for (const rate of [0.5, 20, 800]) {
    const seconds = rate < 1 ? 2_000 : 200;
    const perSecond = firstSends(run(seconds, rate)).length / seconds;
    const deviation = Math.sqrt(rate / seconds);
    assert.ok(Math.abs(perSecond - rate) < 4 * deviation, `${perSecond} instead of ${rate}`);
  }
  assert.deepEqual(run(10, 0), []);
});

test('the rate may change between two calls', () => {
  const source = traffic(shop, NOW_MS);
  let ms = NOW_MS;
  const next = (rate: number) => {
    ms += 1_000;
    return source.next(ms, rate).length;
  };
  const slow = Array.from({ length: 100 }, () => next(5)).reduce((a, b) => a + b);
  const fast = Array.from({ length: 100 }, () => next(50)).reduce((a, b) => a + b);
  const slowAgain = Array.from({ length: 100 }, () => next(5)).reduce((a, b) => a + b);
  assert.ok(slow > 400 && slow < 620, String(slow));
  assert.ok(fast > 4_600 && fast < 5_400, String(fast));
  assert.ok(slowAgain > 400 && slowAgain < 650, String(slowAgain));
});

test('events are due, in order and valid, and time slept through is not made up for', () => {
  const codec = new Codec();
  const source = traffic(shop, NOW_MS);
  source.next(NOW_MS + 100, 50);
  assert.deepEqual(source.next(NOW_MS + 100, 50), [], 'no time has passed');
  const events = source.next(NOW_MS + 3_600_000, 50);
  assert.ok(events.length < 700, `${events.length} events after a pause of an hour`);
  for (const event of events) {
    assert.ok(event.ts > NOW_MS && event.ts <= NOW_MS + 3_600_000);
    codec.encode('Event', event);
  }
});

test('about one event in two hundred is sent twice, unchanged and soon', () => {
  const seen = new Map<string, Event>();
  let repeats = 0;
  const events = run(600, 50);
  for (const event of events) {
    const first = seen.get(event.event_id);
    if (first === undefined) seen.set(event.event_id, event);
    else {
      repeats++;
      assert.deepEqual(event, first);
    }
  }
  const share = repeats / seen.size;
  assert.ok(share > 0.003 && share < 0.007, String(share));
});

test('ids do not collide with those of traffic that began at another moment', () => {
  const ids = new Set(run(30, 50).map(({ event_id }) => event_id));
  const later = traffic(shop, NOW_MS + 1);
  for (const { event_id } of later.next(NOW_MS + 5_000, 50)) assert.ok(!ids.has(event_id));
});

test('visits continue across calls: a purchase follows its cart in a later call', () => {
  const source = traffic(shop, NOW_MS);
  const cartCall = new Map<string, number>();
  let across = 0;
  for (let call = 0; call < 3_000; call++) {
    for (const { user_id, product_id, event_type } of source.next(NOW_MS + (call + 1) * 100, 20)) {
      const key = `${user_id} ${product_id}`;
      if (event_type === 'add_to_cart') cartCall.set(key, call);
      if (event_type === 'purchase' && (cartCall.get(key) ?? call) < call) across++;
    }
  }
  assert.ok(across > 20, String(across));
});

test('within three minutes one product has its moment: it takes a large share of a minute', () => {
  for (const seed of [1, 2, 3]) {
    const own = createShop(seed, NOW_MS);
    const source = traffic(own, NOW_MS);
    let best = 0;
    for (let minute = 0; minute < 3; minute++) {
      const counts = new Map<string, number>();
      let total = 0;
      for (let i = 1; i <= 600; i++)
        for (const { product_id } of source.next(NOW_MS + (minute * 600 + i) * 100, 20)) {
          counts.set(product_id, (counts.get(product_id) ?? 0) + 1);
          total++;
        }
      best = Math.max(best, Math.max(...counts.values()) / total);
    }
    assert.ok(best > 0.15, `seed ${seed}: the largest share is ${best}`);
  }
});
