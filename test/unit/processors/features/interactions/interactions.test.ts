/** Interactions distinguish purchases from views, through every way a task is restored; at most the 1,000 heaviest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, EventType, Interactions } from '../../../../../schemas/records.js';
import { events } from '../../../../../topics/events.js';
import { Driver } from '../../../../support/driver.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const DAY_MS = 86_400_000;
const INTERACTIONS_MS = 600_000;

function event(id: string, product: string, event_type: EventType, ts = NOW): Event {
  return { event_id: id, user_id: 'ada', product_id: product, category: null, event_type, ts };
}

async function withDriver(work: (driver: Driver) => Promise<void>): Promise<void> {
  const driver = await Driver.open({ now: NOW, commitIntervalMs: 0, changelogIntervalMs: 1_000 });
  try {
    await work(driver);
  } finally {
    await driver.close();
  }
}

async function pipeAll(driver: Driver, all: readonly Event[]): Promise<void> {
  const writer = await driver.log.writer([events.name]);
  for (const one of all) writer.add(events.name, Buffer.from(one.user_id), driver.codec.encode('Event', one));
  await writer.flush();
  await writer.close();
}

async function emitted(driver: Driver): Promise<Interactions> {
  driver.clock.advance(INTERACTIONS_MS);
  await driver.run();
  return (await driver.table<Interactions>(driver.topics.interactions.name)).get('ada')!;
}

test('I1: purchases are distinguished over days, also after a flush and a restore', () =>
  withDriver(async (driver) => {
    await pipeAll(driver, [
      event('e1', 'boots', 'purchase', NOW - 2 * DAY_MS),
      event('e2', 'boots', 'view'),
      event('e3', 'hat', 'add_to_cart'),
    ]);
    await driver.run();
    driver.clock.advance(2_000);
    await driver.run();
    await driver.crash();
    await pipeAll(driver, [event('e4', 'boots', 'purchase'), event('e4', 'boots', 'purchase')]);
    const { items } = await emitted(driver);
    assert.deepEqual(
      items.map(({ product_id, count, purchases }) => ({ product_id, count, purchases })),
      [
        { product_id: 'boots', count: 3, purchases: 2 },
        { product_id: 'hat', count: 1, purchases: 0 },
      ],
    );
  }));

test('a purchase ranks above views of its day, and is dropped only for 1,000 heavier products', () =>
  withDriver(async (driver) => {
    const views = Array.from({ length: 999 }, (_, i) => event(`v${i}`, `p${i}`, 'view'));
    await pipeAll(driver, [event('new', 'fresh', 'purchase'), event('old', 'worn', 'purchase', NOW - 85 * DAY_MS)]);
    await pipeAll(driver, views);
    const whole = await emitted(driver);
    assert.equal(whole.items[0]?.product_id, 'fresh');
    assert.deepEqual([whole.items.length, whole.truncated], [1_000, 1]);
    assert.ok(!whole.items.some(({ product_id }) => product_id === 'worn'), 'the 85-day-old one is the lightest');
  }));
