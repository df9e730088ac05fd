/**
 * Expiry is emission, not fold: a day leaves by the emitter's clock, without any input, and later values are sums of
 * the rows in the window of their own as_of. Pace, order and crashes of the sweep: test/faults/midnight-under-load.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relativeError } from '../../../../publishing/audit/reference.js';
import type { Clock } from '../../../../runtime/process/clock.js';
import { newestMarker } from '../../../../runtime/tasks/scan.js';
import type { Affinity, Event, Interactions, Popularity } from '../../../../schemas/records.js';
import { events } from '../../../../topics/events.js';
import { Driver, type DriverOptions } from '../../../support/driver.js';
import { SkewedClock } from '../../../support/manual-clock.js';
import { Reference } from '../../../support/reference.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOON = Date.UTC(2026, 10, 3, 12);
/** The first moment at which an event of NOON's day is outside the window. */
const LEAVES = Date.UTC(2026, 10, 3) + 90 * DAY_MS;

let sent: { event: Event; logTime: number }[] = [];

async function withDriver(run: (driver: Driver) => Promise<void>, over: Partial<DriverOptions> = {}): Promise<void> {
  sent = [];
  const driver = await Driver.open({
    now: NOON,
    partitions: 1,
    commitIntervalMs: 0,
    interactionsIntervalMs: 1,
    ...over,
  });
  try {
    await run(driver);
  } finally {
    await driver.close();
  }
}

async function buy(driver: Driver, user_id: string, product_id: string, ts = driver.clock.now()): Promise<void> {
  const event: Event = { event_id: `e${sent.length}`, user_id, product_id, category: 'c', event_type: 'purchase', ts };
  sent.push({ event, logTime: driver.clock.now() });
  await driver.pipe(events.name, user_id, event);
}

function recount(): Reference {
  return new Reference(
    sent.map(({ event, logTime }, offset) => ({ partition: 0, offset, logTime, key: event.user_id, value: event })),
  );
}

const popularityOf = async (driver: Driver, id: string) =>
  (await driver.table<Popularity>(driver.topics.popularity.name)).get(id);
const affinityOf = async (driver: Driver, id: string) =>
  (await driver.table<Affinity>(driver.topics.affinity.name)).get(id);
const interactionsOf = async (driver: Driver, id: string) =>
  (await driver.table<Interactions>(driver.topics.interactions.name)).get(id);

function skewed(ms: number): (clock: Clock) => Clock {
  return (clock) => Object.assign(new SkewedClock(clock), { skewMs: ms });
}

/** The swept days in the newest markers. */
async function sweptDays(driver: Driver): Promise<number[]> {
  const { activityChangelog, popularityChangelog } = driver.topics;
  const markers = await Promise.all(
    [activityChangelog, popularityChangelog].map(({ name }) =>
      newestMarker(driver.log, driver.codec, { topic: name, partition: 0 }),
    ),
  );
  return markers.flatMap((marker) => marker!.parts.map(({ swept_day }) => swept_day));
}

test('I16: at midnight, without any input, an entity with nothing left gets a null, and not a moment before', () =>
  withDriver(async (driver) => {
    await buy(driver, 'u', 'p');
    await driver.run();
    driver.clock.moveTo(LEAVES - 1);
    await driver.run();
    assert.ok(await popularityOf(driver, 'p'));
    assert.ok(await affinityOf(driver, 'u'));
    assert.ok(await interactionsOf(driver, 'u'));
    driver.clock.moveTo(LEAVES);
    await driver.run();
    for (const { name } of [driver.topics.popularity, driver.topics.affinity, driver.topics.interactions]) {
      assert.equal((await driver.table(name)).size, 0, name);
      assert.equal((await driver.records(name)).at(-1)!.value, null, name);
    }
    // The finished day is in the marker of the next commit.
    await buy(driver, 'u', 'p');
    await driver.run();
    assert.deepEqual(await sweptDays(driver), [LEAVES / DAY_MS, LEAVES / DAY_MS]);
  }));

test('I16: a row that lost a day is written again from the remaining days; others are left alone', () =>
  withDriver(async (driver) => {
    await buy(driver, 'u', 'p');
    driver.clock.advance(DAY_MS);
    await buy(driver, 'u', 'p');
    await buy(driver, 'young', 'young');
    await driver.run();
    const before = (await affinityOf(driver, 'young'))!.as_of;
    driver.clock.moveTo(LEAVES + HOUR_MS);
    await driver.run();
    const reference = recount();
    const row = (await popularityOf(driver, 'p'))!;
    assert.ok(row.as_of >= LEAVES);
    assert.equal(row.purchases, 1);
    near(row.score, reference.popularity('p', row.as_of)!.score);
    const [item] = (await interactionsOf(driver, 'u'))!.items;
    assert.equal(item!.count, 1);
    near(item!.weight, reference.interactions('u', (await interactionsOf(driver, 'u'))!.as_of)!.items[0]!.weight);
    assert.equal((await affinityOf(driver, 'young'))!.as_of, before);
  }));

test('I16: one sweep makes up for several midnights, also after a restart', () =>
  withDriver(async (driver) => {
    for (let day = 0; day < 5; day++) {
      await buy(driver, `u${day}`, `p${day}`);
      await buy(driver, 'always', 'always');
      driver.clock.advance(DAY_MS);
    }
    await driver.run();
    driver.clock.moveTo(LEAVES + 2 * DAY_MS + HOUR_MS);
    await driver.crash();
    await driver.run();
    const rows = await driver.table<Popularity>(driver.topics.popularity.name);
    assert.deepEqual([...rows.keys()].sort(), ['always', 'p3', 'p4']);
    assert.equal(rows.get('always')!.purchases, 2);
    assert.deepEqual([...(await driver.table(driver.topics.affinity.name)).keys()].sort(), ['always', 'u3', 'u4']);
  }));

test('I16: as_of is never below the partition clock, and the window is that of as_of', async () => {
  // A machine whose clock is two days behind the log's.
  const behind = {
    emitter: skewed(-2 * DAY_MS),
  };
  await withDriver(async (driver) => {
    await buy(driver, 'u', 'p');
    await driver.run();
    driver.clock.moveTo(LEAVES + HOUR_MS);
    await buy(driver, 'u', 'q');
    await driver.run();
    const row = (await interactionsOf(driver, 'u'))!;
    assert.ok(row.as_of >= LEAVES + HOUR_MS, new Date(row.as_of).toISOString());
    assert.deepEqual(
      row.items.map(({ product_id }) => product_id),
      ['q'],
    );
    assert.equal(await popularityOf(driver, 'p'), undefined);
    assert.ok((await popularityOf(driver, 'q'))!.as_of >= LEAVES + HOUR_MS);
  }, behind);
});

test('I16: the emitter decides what leaves while the fold still keeps it, so an early midnight loses nothing', async () => {
  // The emitter's clock runs a day ahead of the log's.
  const ahead = { emitter: skewed(DAY_MS) };
  await withDriver(async (driver) => {
    await buy(driver, 'u', 'p');
    driver.clock.moveTo(LEAVES - HOUR_MS);
    await driver.run();
    assert.equal(await popularityOf(driver, 'p'), undefined, 'outside the window of as_of');
    // In time by the log's clock, so it counts; by the emitter's clock its day is over.
    await buy(driver, 'u', 'p', NOON);
    await driver.run();
    assert.equal(await popularityOf(driver, 'p'), undefined);
    assert.equal(await affinityOf(driver, 'u'), undefined);
    assert.equal(recount().popularity('p', LEAVES - 1)!.purchases, 2, 'both counted');
  }, ahead);
});

test('I16: hashes cover only the window: days that have left make no difference', async () => {
  const hashesAfter = async (leaving: boolean) => {
    let hashes: string[] = [];
    await withDriver(async (driver) => {
      if (leaving) await buy(driver, 'u', 'p');
      await driver.run();
      driver.clock.moveTo(LEAVES + HOUR_MS);
      await buy(driver, 'v', 'q');
      await driver.run();
      hashes = driver.stateHashes();
    });
    return hashes;
  };
  assert.deepEqual(await hashesAfter(true), await hashesAfter(false));
});

function near(actual: number, expected: number): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= 1e-9, `${actual}, expected ${expected}, relative error ${error}`);
}
