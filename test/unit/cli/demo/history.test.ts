import assert from 'node:assert/strict';
import { test } from 'node:test';
import { history, historyIdPrefix, parseHistoryId } from '../../../../cli/demo/history.js';
import { createShop } from '../../../../cli/demo/shop.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Event } from '../../../../schemas/records.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.UTC(2026, 4, 20, 15, 30);
const shop = createShop(1, NOW_MS);
const events = [...history(shop)];
const day = (ms: number) => Math.floor(ms / DAY_MS);

function count<K>(keys: Iterable<K>): Map<K, number> {
  const counts = new Map<K, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

test('the same shop has the same history, another seed another one', () => {
  assert.deepEqual([...history(createShop(1, NOW_MS))], events);
  const other = history(createShop(2, NOW_MS)).next().value as Event;
  assert.notDeepEqual({ ...other, event_id: '' }, { ...events[0]!, event_id: '' });
});

test('90 days that end now, in order of time, in realistic numbers', () => {
  assert.ok(events.length >= 150_000 && events.length <= 250_000, String(events.length));
  assert.ok(events.every(({ ts }, index) => index === 0 || ts >= events[index - 1]!.ts));
  assert.ok(events.at(-1)!.ts <= NOW_MS && events.at(-1)!.ts > NOW_MS - HOUR_MS);
  assert.equal(new Set(events.map(({ ts }) => day(ts))).size, 90);
  assert.equal(day(events[0]!.ts), day(NOW_MS) - 89);
});

test('shortly before midnight nothing is so old that it would be late soon after', () => {
  const nowMs = Date.UTC(2026, 4, 20, 23, 40);
  const first = history(createShop(1, nowMs)).next().value as Event;
  assert.equal(day(first.ts), day(nowMs) - 88);
});

test('ids are unique, in order, and contain their position', () => {
  const prefix = historyIdPrefix(1, NOW_MS);
  for (const [index, { event_id }] of events.entries()) {
    assert.ok(event_id.startsWith(prefix));
    if (index % 997 === 0) assert.deepEqual(parseHistoryId(event_id), { seed: 1, nowMs: NOW_MS, index });
  }
  assert.equal(new Set(events.map(({ event_id }) => event_id)).size, events.length);
  for (const other of ['demo-t1-abc-1', 'order-7', 'demo-h1-abc', '']) assert.equal(parseHistoryId(other), null);
});

test('every event names a user and a product of the shop, and matches the schema', () => {
  const codec = new Codec();
  const users = new Set(shop.shoppers.filter(({ activity }) => activity > 0).map(({ user }) => user.user_id));
  const categoryOf = new Map(shop.products.map(({ product_id, category }) => [product_id, category]));
  for (const event of events) {
    assert.ok(users.has(event.user_id), event.user_id);
    assert.ok(event.category === null || event.category === categoryOf.get(event.product_id), event.product_id);
    assert.ok(codec.encode('Event', event).length < 200);
  }
  const without = events.filter(({ category }) => category === null).length / events.length;
  assert.ok(without > 0.04 && without < 0.06, String(without));
});

test('visits lead from views to carts to purchases at realistic rates', () => {
  const types = count(events.map(({ event_type }) => event_type));
  const carts = types.get('add_to_cart')! / types.get('view')!;
  const purchases = types.get('purchase')! / types.get('add_to_cart')!;
  assert.ok(carts > 0.05 && carts < 0.14, `cart per view ${carts}`);
  assert.ok(purchases > 0.3 && purchases < 0.55, `purchase per cart ${purchases}`);
  const carted = new Set<string>();
  const viewed = new Set<string>();
  for (const { user_id, product_id, event_type } of events) {
    const key = `${user_id} ${product_id}`;
    if (event_type === 'view') viewed.add(key);
    if (event_type === 'add_to_cart') {
      assert.ok(viewed.has(key), `${key} was put into the cart unseen`);
      carted.add(key);
    }
    if (event_type === 'purchase') assert.ok(carted.has(key), `${key} was bought without a cart`);
  }
});

test('days have a rhythm: evenings are busy, nights are not', () => {
  const hours = count(events.map(({ ts }) => new Date(ts).getUTCHours()));
  assert.ok(hours.get(20)! > 8 * hours.get(3)!, `${hours.get(20)} at 20 h, ${hours.get(3)} at 3 h`);
  const weekdays = count(events.map(({ ts }) => new Date(ts).getUTCDay()));
  assert.ok(weekdays.get(0)! > 1.1 * weekdays.get(5)!, 'Sundays are busier than Fridays');
});

test('seasons: in May garden products are in higher demand than in November, toys in lower', () => {
  const share = (list: readonly Event[], category: string) =>
    list.filter((event) => event.category === category).length / list.length;
  const november = [...history(createShop(1, Date.UTC(2026, 10, 20, 12)))];
  assert.ok(share(events, 'garden') > 1.5 * share(november, 'garden'));
  assert.ok(share(november, 'toys') > 1.3 * share(events, 'toys'));
});

test('shoppers have tastes: half of their views are in two categories', () => {
  const byUser = new Map<string, Event[]>();
  for (const event of events) {
    if (event.category === null) continue;
    const own = byUser.get(event.user_id);
    if (own === undefined) byUser.set(event.user_id, [event]);
    else own.push(event);
  }
  const shares = [...byUser.values()]
    .filter((own) => own.length >= 50)
    .map((own) => {
      const counts = [...count(own.map(({ category }) => category)).values()].sort((a, b) => b - a);
      return (counts[0]! + (counts[1] ?? 0)) / own.length;
    });
  assert.ok(shares.length > 500);
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  assert.ok(mean > 0.5 && mean < 0.95, String(mean));
});

test('some launches go viral: nothing before, steeply up in the last days', () => {
  assert.ok(shop.demand.viral.length >= 3);
  for (const { product } of shop.demand.viral) {
    const own = events.filter(({ product_id }) => product_id === shop.products[product]!.product_id);
    const recent = own.filter(({ ts }) => ts > NOW_MS - 3 * DAY_MS).length;
    const before = own.filter(({ ts }) => ts < NOW_MS - 20 * DAY_MS).length;
    assert.equal(before, 0, 'it did not exist yet');
    assert.ok(recent > 50 && recent > 0.3 * own.length, `${recent} of ${own.length}`);
  }
});

test('products have lives: new ones come in, old ones fade', () => {
  const counts = new Map(shop.products.map(({ product_id }) => [product_id, [0, 0] as [number, number]]));
  for (const { product_id, ts } of events) counts.get(product_id)![ts < NOW_MS - 45 * DAY_MS ? 0 : 1]++;
  const lives = shop.demand.wanted.map(({ life }, index) => ({
    life,
    seen: counts.get(shop.products[index]!.product_id)!,
  }));
  const total = (kind: string, half: 0 | 1) =>
    lives.filter(({ life }) => life.kind === kind).reduce((sum, { seen }) => sum + seen[half], 0);
  assert.ok(total('new', 1) > 2 * total('new', 0));
  assert.ok(total('fading', 1) < 0.75 * total('fading', 0));
  assert.ok(total('steady', 1) > 0.8 * total('steady', 0));
});

test('popularity has a long tail, but everything is viewed', () => {
  const counts = [...count(events.map(({ product_id }) => product_id)).values()].sort((a, b) => b - a);
  assert.equal(counts.length, shop.products.length);
  const top = counts.slice(0, Math.floor(counts.length / 10)).reduce((sum, n) => sum + n, 0) / events.length;
  assert.ok(top > 0.2 && top < 0.5, `the first tenth has ${top}`);
});
