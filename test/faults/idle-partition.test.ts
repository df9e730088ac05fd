/**
 * I1: one partition gets no input for hours while the others continue: its users expire all the same, and it has its
 * own clock and duplicate horizon, however far ahead the others are.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, Popularity } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { partitionOf } from '../../topics/partition.js';
import { agrees } from '../support/agreement.js';
import { Driver } from '../support/driver.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const EVENING = Date.UTC(2026, 10, 3, 19);
const MIDNIGHT = Date.UTC(2026, 10, 4);
/** The day that leaves the window at MIDNIGHT. */
const LEAVING = MIDNIGHT - 90 * DAY_MS;
const PARTITIONS = 3;
const BUSY = [0, 2];
const IDLE = 1;

/** Users by the partition they belong to. */
const usersOf = (partition: number, count: number): string[] =>
  Array.from({ length: 200 }, (_, n) => `u${n}`)
    .filter((user) => partitionOf(PARTITIONS, Buffer.from(user)) === partition)
    .slice(0, count);

async function withDriver(work: (driver: Driver, send: Send) => Promise<void>): Promise<void> {
  const driver = await Driver.open({ now: EVENING, partitions: PARTITIONS, interactionsIntervalMs: MINUTE_MS });
  let made = 0;
  const send: Send = async (user, over = {}) => {
    const event: Event = {
      event_id: `e${made++}`,
      user_id: user,
      product_id: `p${made % 7}`,
      category: 'hats',
      event_type: 'view',
      ts: driver.clock.now(),
      ...over,
    };
    await driver.pipe(events.name, user, event);
    return event;
  };
  try {
    await work(driver, send);
  } finally {
    await driver.close();
  }
}

type Send = (user: string, over?: Partial<Event>) => Promise<Event>;

async function views(driver: Driver, product: string): Promise<number> {
  return (await driver.table<Popularity>(driver.topics.popularity.name)).get(product)?.views ?? 0;
}

test('a partition without input for nine hours loses its day at midnight too', () =>
  withDriver(async (driver, send) => {
    for (const user of usersOf(IDLE, 6)) await send(user, { ts: LEAVING + HOUR_MS, product_id: `own-${user}` });
    for (const user of usersOf(IDLE, 3)) await send(user, { category: 'stays' });
    await driver.run();
    for (let hour = 0; hour < 9; hour++) {
      for (const partition of BUSY) for (const user of usersOf(partition, 4)) await send(user);
      await driver.run();
      driver.clock.advance(HOUR_MS);
      await driver.run();
    }
    await agrees(driver);
    const affinity = await driver.table(driver.topics.affinity.name);
    const left = usersOf(IDLE, 6).filter((user) => affinity.has(user));
    assert.deepEqual(left, usersOf(IDLE, 3), 'three users have nothing left');
    assert.equal(await views(driver, `own-${usersOf(IDLE, 1)[0]}`), 0);
    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
  }));

test('the duplicate horizon is the partition’s own while it catches up with the others', () =>
  withDriver(async (driver, send) => {
    const [quiet] = usersOf(IDLE, 1) as [string];
    const first = await send(quiet, { product_id: 'once' });
    driver.clock.advance(3 * HOUR_MS);
    await driver.pipe(events.name, quiet, first);
    for (let hour = 0; hour < 9; hour++) {
      driver.clock.advance(HOUR_MS);
      for (const partition of BUSY) await send(usersOf(partition, 1)[0]!);
    }
    // Nothing has been read before this point; the busy partition is read before the idle one.
    await driver.run();
    assert.equal(await views(driver, 'once'), 1, 'three hours apart in its own partition, regardless of the others');
    await agrees(driver);
  }));

for (const crash of [false, true]) {
  test(`its horizon begins with its own last record${crash ? ', after a crash too' : ''}`, () =>
    withDriver(async (driver, send) => {
      const [quiet, other] = usersOf(IDLE, 2) as [string, string];
      const first = await send(quiet, { product_id: 'edge' });
      const second = await send(other, { product_id: 'over' });
      await driver.run();
      for (let minute = 0; minute < 358; minute += 30) {
        for (const partition of BUSY) await send(usersOf(partition, 1)[0]!);
        driver.clock.moveTo(EVENING + minute * MINUTE_MS);
        await driver.run();
      }
      if (crash) await driver.crash();
      driver.clock.moveTo(EVENING + 6 * HOUR_MS);
      await driver.pipe(events.name, quiet, first);
      driver.clock.advance(1);
      await driver.pipe(events.name, other, second);
      await driver.run();
      assert.equal(await views(driver, 'edge'), 1, 'six hours later it is still a duplicate');
      assert.equal(await views(driver, 'over'), 2, 'a millisecond after that it is a new event');
      await agrees(driver);
    }));
}

test('days of a partition that catches up are judged by its own clock, not by the clocks of the others', () =>
  withDriver(async (driver, send) => {
    const [quiet] = usersOf(IDLE, 1) as [string];
    await send(quiet, { product_id: 'in time', ts: LEAVING + HOUR_MS });
    await send(quiet, { product_id: 'in time', ts: EVENING - DAY_MS });
    for (let day = 0; day < 3; day++) {
      driver.clock.advance(DAY_MS);
      for (const partition of BUSY) await send(usersOf(partition, 1)[0]!);
    }
    await driver.run();
    assert.equal((await driver.records('late-events')).length, 0, 'it was in time when it was logged');
    assert.equal(await views(driver, 'in time'), 1, 'but its day has left the window since');
    driver.clock.advance(2 * MINUTE_MS);
    await driver.run();
    await agrees(driver);
  }));
