/**
 * I1, I16: the day changes while events continue: every entity that lost a day is emitted again, live changes come
 * first, no reader sees a gap, and an entity with nothing left gets a null. A crash in the middle of the sweep starts
 * it over.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Affinity, Event, Interactions, Popularity } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { agrees } from '../support/agreement.js';
import { Driver, type DriverOptions } from '../support/driver.js';
import { Random } from '../support/random.js';
import { seed } from './harness/report.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MIDNIGHT = Date.UTC(2026, 10, 4);
/** The day that leaves the window at MIDNIGHT. */
const LEAVING = MIDNIGHT - 90 * DAY_MS;
/** More than a commit's share of a sweep. */
const SWEPT_USERS = 12_000;

const types = ['view', 'add_to_cart', 'purchase'] as const;
const sweptUser = (n: number) => `s${n}`;

async function withDriver(options: Partial<DriverOptions>, work: (driver: Driver) => Promise<void>): Promise<void> {
  const driver = await Driver.open({
    now: MIDNIGHT - 20 * MINUTE_MS,
    partitions: 1,
    interactionsIntervalMs: MINUTE_MS,
    changelogIntervalMs: 5 * MINUTE_MS,
    ...options,
  });
  try {
    await work(driver);
  } finally {
    await driver.close();
  }
}

/** Many at once: a single flush of the log. */
async function pipeAll(driver: Driver, all: readonly Event[]): Promise<void> {
  const writer = await driver.log.writer([events.name]);
  for (const event of all) writer.add(events.name, Buffer.from(event.user_id), driver.codec.encode('Event', event));
  await writer.flush();
  await writer.close();
}

function eventOf(n: number, over: Partial<Event>): Event {
  return {
    event_id: `e${n}`,
    user_id: 'u',
    product_id: 'p',
    category: 'hats',
    event_type: types[n % 3]!,
    ts: LEAVING,
    ...over,
  };
}

/** Every third user has only the day that leaves; the others have a second event on a day that stays. */
function leavingEvents(): Event[] {
  return Array.from({ length: SWEPT_USERS }, (_, n) => {
    const own = { user_id: sweptUser(n), product_id: `p${n % 50}`, category: `c${n % 7}` };
    const leaving = eventOf(n, { ...own, ts: LEAVING + ((n * 6_007) % DAY_MS) });
    if (n % 3 === 0) return [leaving];
    return [leaving, eventOf(SWEPT_USERS + n, { ...own, category: 'stays', ts: MIDNIGHT - (1 + (n % 80)) * DAY_MS })];
  }).flat();
}

/** Folds one fetch and commits once, if there is anything; `run` repeats this until nothing is left. */
async function step(driver: Driver): Promise<void> {
  for (const task of driver.tasks) {
    await task.foldOnce();
    driver.clock.advance(100);
    await task.commitIfDue();
  }
}

test('midnight under load: values correct before and after, no gap, nulls for entities with nothing left', () =>
  withDriver({ partitions: 2 }, async (driver) => {
    const random = new Random(seed);
    const users = Array.from({ length: 60 }, (_, n) => `u${n}`);
    let made = 0;
    const load = (count: number, ts: (now: number) => number) =>
      pipeAll(
        driver,
        Array.from({ length: count }, () =>
          eventOf(made++, {
            // The last ten users and products are silent from before midnight.
            user_id: users[random.below(50)]!,
            product_id: `p${random.below(30)}`,
            category: `c${random.below(5)}`,
            ts: ts(driver.clock.now()),
          }),
        ),
      );
    await load(400, () => LEAVING + random.below(DAY_MS));
    await load(400, (now) => now - random.below(89 * DAY_MS));
    const silent = Array.from({ length: 10 }, (_, n) =>
      eventOf(made++, { user_id: users[50 + n]!, product_id: `p${30 + n}`, ts: LEAVING + n * HOUR_MS }),
    );
    await pipeAll(driver, [
      eventOf(made++, { user_id: 'untouched', product_id: 'untouched', ts: MIDNIGHT - 40 * DAY_MS }),
      ...silent,
      ...silent.slice(5).map((one) => ({ ...one, event_id: `${one.event_id} again`, ts: MIDNIGHT - HOUR_MS })),
    ]);
    await driver.run();
    driver.clock.moveTo(MIDNIGHT - 5_000);
    await driver.run();
    const before = await agrees(driver);
    assert.ok(before.newestAsOf < MIDNIGHT);
    const places = new Map<string, number>();
    for (const { name } of [driver.topics.affinity, driver.topics.popularity, driver.topics.interactions])
      places.set(name, (await driver.records(name)).length);

    for (let tick = 0; tick < 100; tick++) {
      await load(10, (now) => (tick % 3 === 0 ? now : now - random.below(89 * DAY_MS)));
      if (tick % 4 === 0) await step(driver);
      driver.clock.advance(50);
    }
    assert.ok(driver.clock.now() > MIDNIGHT);
    driver.clock.advance(2 * MINUTE_MS);
    await driver.run();
    const after = await agrees(driver);
    assert.ok(after.oldestAsOf < MIDNIGHT, 'users who lost no day are left alone');

    const affinity = await driver.records<Affinity>(driver.topics.affinity.name);
    const popularity = await driver.records<Popularity>(driver.topics.popularity.name);
    const gone = silent.slice(0, 5);
    const nulls = (records: { key: string; value: unknown }[]) =>
      records.filter(({ value }) => value === null).map(({ key }) => key);
    assert.deepEqual(nulls(affinity).sort(), gone.map(({ user_id }) => user_id).sort(), 'no one else ever disappears');
    assert.deepEqual(nulls(popularity).sort(), gone.map(({ product_id }) => product_id).sort());
    const interactions = await driver.records<Interactions>(driver.topics.interactions.name);
    assert.deepEqual(nulls(interactions).sort(), gone.map(({ user_id }) => user_id).sort());
    for (const { key, value } of affinity.slice(places.get(driver.topics.affinity.name)!))
      if (value !== null) for (const share of Object.values(value.scores)) assert.ok(share > 0 && share <= 1, key);
  }));

test('changes during a sweep are written first, the sweep follows in parts', () =>
  withDriver({}, async (driver) => {
    await pipeAll(driver, leavingEvents());
    await driver.run();
    driver.clock.moveTo(MIDNIGHT + 1_000);
    for (let n = 0; n < 2; n++) {
      const known = (await driver.records(driver.topics.affinity.name)).length;
      const live = [`live${n}`, sweptUser(SWEPT_USERS - 1 - n)];
      await pipeAll(
        driver,
        live.map((user_id, i) => eventOf(1e6 + n * 10 + i, { user_id, ts: driver.clock.now() })),
      );
      await step(driver);
      const written = (await driver.records<Affinity>(driver.topics.affinity.name)).slice(known);
      const inFront = written.slice(0, live.length).map(({ key }) => key);
      assert.deepEqual(inFront, live, 'live changes are in front');
      const part = written.length - live.length;
      assert.ok(part > 0 && part <= 5_000, `a part of the sweep after them: ${part}`);
    }
    await driver.run();
    driver.clock.advance(2 * MINUTE_MS);
    await driver.run();
    await agrees(driver);
  }));

test('a crash in the middle of a sweep starts it over; no one is left out', () =>
  withDriver({}, async (driver) => {
    await pipeAll(driver, leavingEvents());
    await driver.run();
    driver.clock.moveTo(MIDNIGHT + 1_000);
    await step(driver);
    const swept = async () =>
      (await driver.records<Affinity>(driver.topics.affinity.name)).slice(SWEPT_USERS).map(({ key }) => key);
    const part = (await swept()).length;
    assert.ok(part > 0 && part < SWEPT_USERS, `one part of it: ${part}`);
    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
    const known = (await swept()).length;
    await driver.run();
    assert.equal(new Set((await swept()).slice(known)).size, SWEPT_USERS, 'all of them after the crash');
    driver.clock.advance(2 * MINUTE_MS);
    await driver.run();
    await agrees(driver);

    await pipeAll(driver, [eventOf(2e6, { user_id: 'next', ts: driver.clock.now() })]);
    await driver.run();
    const done = (await swept()).length;
    await driver.crash();
    driver.clock.advance(MINUTE_MS);
    await driver.run();
    assert.equal((await swept()).length, done, 'a finished sweep is in the next marker and is not repeated');
  }));

test('a crash after the affinities but before the interactions of a sweep: the slower output follows all the same', () =>
  withDriver({ interactionsIntervalMs: 4 * HOUR_MS }, async (driver) => {
    await pipeAll(driver, leavingEvents());
    await driver.run();
    driver.clock.moveTo(MIDNIGHT + 1_000);
    await driver.run();
    await driver.crash();
    driver.clock.advance(5 * HOUR_MS);
    await driver.run();
    await agrees(driver);
  }));

test('midnight falls between the log time of an event and its folding, and again while everything was down', () =>
  withDriver({ partitions: 2 }, async (driver) => {
    await pipeAll(driver, leavingEvents().slice(0, 600));
    await driver.run();
    driver.clock.moveTo(MIDNIGHT - 1);
    const last = (n: number, ts: number) => eventOf(n, { user_id: sweptUser(n), product_id: `p${n % 50}`, ts });
    await pipeAll(
      driver,
      [0, 3, 6].map((n) => ({ ...last(n, LEAVING), event_id: `late but in time ${n}` })),
    );
    driver.clock.moveTo(MIDNIGHT + 1);
    await pipeAll(
      driver,
      [9, 12].map((n) => ({ ...last(n, LEAVING), event_id: `too late ${n}` })),
    );
    await driver.run();
    driver.clock.advance(2 * MINUTE_MS);
    await driver.run();
    await agrees(driver);
    assert.equal((await driver.records('late-events')).length, 2);

    driver.clock.moveTo(MIDNIGHT + 3 * DAY_MS + HOUR_MS);
    await driver.crash();
    driver.clock.advance(2 * MINUTE_MS);
    await driver.run();
    await agrees(driver);
  }));
