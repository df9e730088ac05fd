/**
 * I1, I16: the emitter's wall clock jumps, the log's does not: two hours ahead and back, over midnight and back, behind
 * the log. No as_of falls below the partition clock, nothing is lost or NaN, nothing is emitted endlessly, and nothing
 * waits until the clock has caught up.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { createProcessors } from '../../processors/features/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { taskMetrics } from '../../runtime/tasks/metrics.js';
import { Codec } from '../../schemas/codec.js';
import type { Affinity, Event, Interactions, Popularity } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { events } from '../../topics/events.js';
import { featureSet } from '../../topics/feature-set.js';
import { feed, readAll } from '../bench/feed.js';
import { verify } from '../bench/verify.js';
import { agrees } from '../support/agreement.js';
import { Driver } from '../support/driver.js';
import { SkewedClock } from '../support/manual-clock.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOON = Date.UTC(2026, 10, 3, 12);
const MIDNIGHT = NOON + 12 * HOUR_MS;
/** The day that leaves the window at MIDNIGHT. */
const LEAVING = MIDNIGHT - 90 * DAY_MS;
const USERS = 12;
/** Far more than the load needs, far less than an endless loop would produce. */
const COMMITS_MAX = 500;

interface Stage {
  readonly driver: Driver;
  readonly emitter: SkewedClock;
  /** One event of every user, `age` before the log's now. */
  send(ageMs?: number): Promise<void>;
  /** Runs until nothing is left to do. Throws if that takes more commits than there can be work for. */
  settle(): Promise<void>;
}

async function onStage(now: number, work: (stage: Stage) => Promise<void>): Promise<void> {
  let emitter: SkewedClock | null = null;
  const driver = await Driver.open({
    now,
    interactionsIntervalMs: 10 * MINUTE_MS,
    changelogIntervalMs: 5_000,
    emitter: (clock) => {
      emitter = new SkewedClock(clock);
      return emitter;
    },
  });
  let made = 0;
  const eventOf = (n: number, ageMs: number): Event => ({
    event_id: `e${made++}`,
    user_id: `u${n}`,
    product_id: `p${n % 5}`,
    category: made % 2 === 0 ? 'hats' : 'shoes',
    event_type: 'view',
    ts: driver.clock.now() - ageMs,
  });
  const stage: Stage = {
    driver,
    emitter: emitter!,
    send: async (ageMs = 0) => {
      for (let n = 0; n < USERS; n++) await driver.pipe(events.name, `u${n}`, eventOf(n, ageMs));
    },
    settle: async () => {
      const commitsMax = (await commitsOf(driver)) + COMMITS_MAX;
      let isSettled = false;
      const running = driver.run().finally(() => {
        isSettled = true;
      });
      // If it never settles, closing the driver ends it.
      running.catch(() => undefined);
      while (!isSettled) {
        assert.ok((await commitsOf(driver)) <= commitsMax, `more than ${COMMITS_MAX} commits`);
        await pause(5);
      }
      await running;
    },
  };
  try {
    await work(stage);
  } finally {
    await driver.close();
  }
}

async function commitsOf(driver: Driver): Promise<number> {
  return (await taskMetrics(driver.metrics).commits.get()).values.reduce((sum, { value }) => sum + value, 0);
}

/** Every number ever written is finite and above 0. */
async function nothingIsOdd(driver: Driver): Promise<void> {
  const numbers: number[] = [];
  for (const { value } of await driver.records<Affinity>(driver.topics.affinity.name))
    if (value !== null) numbers.push(...Object.values(value.scores));
  for (const { value } of await driver.records<Popularity>(driver.topics.popularity.name))
    if (value !== null) numbers.push(value.score);
  for (const { value } of await driver.records<Interactions>(driver.topics.interactions.name))
    if (value !== null) numbers.push(...value.items.map(({ weight }) => weight));
  assert.ok(numbers.length > 0);
  for (const number of numbers) assert.ok(Number.isFinite(number) && number > 0, `${number}`);
}

/** After every user has sent something, the newest rows of all keys were computed for times not before the log's. */
async function noneIsOlder(driver: Driver, atLeast: number): Promise<void> {
  for (const topic of [driver.topics.affinity, driver.topics.popularity])
    for (const [key, { as_of }] of await driver.table<{ as_of: number }>(topic.name))
      assert.ok(as_of >= atLeast, `${topic.name} of ${key}: as_of ${as_of} is before the log's ${atLeast}`);
}

test('two hours ahead and back: nothing waits for the clock to catch up', () =>
  onStage(NOON, async ({ driver, emitter, send, settle }) => {
    await send(3 * DAY_MS);
    await settle();
    emitter.skewMs = 2 * HOUR_MS;
    await send();
    await settle();
    await agrees(driver);
    emitter.skewMs = 0;
    driver.clock.advance(1_000);
    await send();
    await settle();
    await noneIsOlder(driver, driver.clock.now() - 10_000);
    await agrees(driver, ['popularity', 'affinity']);
    // The changelog continues too, and so do the interactions, at their own pace.
    driver.clock.advance(11 * MINUTE_MS);
    await send();
    await settle();
    await agrees(driver);
    for (const topic of [driver.topics.activityChangelog, driver.topics.popularityChangelog])
      for (const marker of await driver.markers(topic.name))
        for (const { offset, restore_from } of marker?.parts ?? [])
          assert.equal(restore_from, offset, `${topic.name}: flushed to ${restore_from} of ${offset}`);
    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
    await nothingIsOdd(driver);
  }));

test('behind the log: as_of never falls below the partition clock', () =>
  onStage(NOON, async ({ driver, emitter, send, settle }) => {
    emitter.skewMs = -2 * HOUR_MS;
    await send();
    await settle();
    await noneIsOlder(driver, NOON);
    await agrees(driver, ['popularity', 'affinity']);
    driver.clock.advance(MINUTE_MS);
    const second = driver.clock.now();
    await send();
    await driver.crash();
    await settle();
    await noneIsOlder(driver, second);
    driver.clock.advance(15 * MINUTE_MS);
    await settle();
    await agrees(driver);
    await nothingIsOdd(driver);
  }));

test('behind the log at midnight: the log moves the day, once', () =>
  onStage(MIDNIGHT - HOUR_MS, async ({ driver, emitter, send, settle }) => {
    emitter.skewMs = -2 * HOUR_MS;
    await send(MIDNIGHT - HOUR_MS - LEAVING - 1);
    await send(DAY_MS);
    await settle();
    driver.clock.moveTo(MIDNIGHT + MINUTE_MS);
    await driver.pipe(events.name, 'u0', {
      event_id: 'moves the day',
      user_id: 'u0',
      product_id: 'p0',
      category: null,
      event_type: 'view',
      ts: driver.clock.now(),
    });
    await settle();
    driver.clock.advance(3 * HOUR_MS);
    await settle();
    await agrees(driver);
    await nothingIsOdd(driver);
  }));

for (const restarted of [false, true]) {
  const how = restarted ? ', with a restart in between' : '';
  test(`over midnight and back${how}: the returned day counts again, and leaves at the true midnight`, () =>
    onStage(MIDNIGHT - HOUR_MS, async ({ driver, emitter, send, settle }) => {
      await send(MIDNIGHT - HOUR_MS - LEAVING - 1);
      await send(DAY_MS);
      await settle();
      emitter.skewMs = 2 * HOUR_MS;
      await settle();
      driver.clock.advance(MINUTE_MS);
      await settle();
      emitter.skewMs = 0;
      if (restarted) await driver.crash();
      await driver.pipe(events.name, 'u0', {
        event_id: 'while it is still the day before',
        user_id: 'u0',
        product_id: 'p0',
        category: null,
        event_type: 'purchase',
        ts: driver.clock.now(),
      });
      driver.clock.advance(12 * MINUTE_MS);
      await settle();
      await agrees(driver);
      driver.clock.moveTo(MIDNIGHT + HOUR_MS);
      await settle();
      driver.clock.advance(12 * MINUTE_MS);
      await settle();
      const { oldestAsOf } = await agrees(driver);
      assert.ok(oldestAsOf >= MIDNIGHT, 'every user had the day that left');
      await nothingIsOdd(driver);
    }));
}

test('ten years ahead and back: emptied rows are restored', () =>
  onStage(NOON, async ({ driver, emitter, send, settle }) => {
    await send(DAY_MS);
    await settle();
    emitter.skewMs = 3_652 * DAY_MS;
    await settle();
    driver.clock.advance(12 * MINUTE_MS);
    await settle();
    assert.equal((await driver.table(driver.topics.affinity.name)).size, 0, 'nothing is in the window of that time');
    emitter.skewMs = 0;
    driver.clock.advance(12 * MINUTE_MS);
    await settle();
    driver.clock.advance(12 * MINUTE_MS);
    await settle();
    await agrees(driver);
    await nothingIsOdd(driver);
  }));

test('two hours ahead and back over Kafka, which rejects records from more than an hour ahead: no task ends for good', {
  timeout: 120_000,
}, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  const partitions = 2;
  const settings = loadSettings({ KAFKA_BROKERS: broker.address, PARTITIONS: String(partitions) });
  const log = await openKafkaLog(settings, silentLogger);
  try {
    await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions });
    const clock = new SkewedClock(systemClock);
    const reporting = openReporting(silentLogger);
    const codec = new Codec();
    const processors = createProcessors({ log, codec, settings, ...reporting, clock, set: featureSet(1) });
    await processors.start();
    try {
      let fed = 0;
      const more = async () => {
        const sizes = { events: 500, users: 50, products: 20, disorder: 0, duplicates: 0 };
        const now = Date.now();
        fed += await feed(log, events.name, { ...sizes, seed: fed + 1, startMs: now, endMs: now });
      };
      const eventually = async (what: string, holds: () => Promise<boolean>) => {
        const deadline = performance.now() + 60_000;
        for (; !(await holds()); await pause(50)) {
          assert.deepEqual(processors.application.failures, []);
          assert.ok(performance.now() < deadline, what);
        }
      };
      const counted = () => viewsOf(log, codec);
      await more();
      await eventually('the first are counted', async () => (await counted()) === fed);
      clock.skewMs = 2 * HOUR_MS;
      await more();
      // Whether they can be written while the clock is wrong is up to the broker.
      const failures = async () => (await taskMetrics(reporting.metrics).failures.get()).values.length;
      await eventually('something happens', async () => (await failures()) > 0 || (await counted()) === fed);
      clock.skewMs = 0;
      await more();
      await eventually('all are counted', async () => (await counted()) === fed);
      assert.deepEqual(processors.application.failures, []);
    } finally {
      await processors.stop();
    }
    assert.deepEqual((await verify(log)).wrong, []);
  } finally {
    await log.close();
    await broker.stop();
  }
});

/** Counted events of all products. */
async function viewsOf(log: Log, codec: Codec): Promise<number> {
  const counts = new Map<string, number>();
  await readAll(log, featureSet(1).topics.popularity.name, ({ key, value }) => {
    const { views, add_to_carts, purchases } = codec.decode('Popularity', value!) as Popularity;
    counts.set(key!, views + add_to_carts + purchases);
  });
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
