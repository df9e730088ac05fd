/**
 * I15: a null value under a user_id is a cut. Events before it in the log are no longer in any feature of that user,
 * events after it start counting again; popularity keeps the sum. Tested for any stream, wherever tasks crash.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type RawRecord, relativeError } from '../../../../publishing/audit/reference.js';
import { visitRows } from '../../../../runtime/tasks/scan.js';
import type { Affinity, Event, Interactions, Popularity } from '../../../../schemas/records.js';
import { events } from '../../../../topics/events.js';
import { partitionOf } from '../../../../topics/partition.js';
import { Driver } from '../../../support/driver.js';
import { DEFAULT_SETTINGS, Reference } from '../../../support/reference.js';

const START = Date.UTC(2026, 10, 3, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const PARTITIONS = 2;
const CHANGELOG_MS = 30_000;
const INTERACTIONS_MS = 10 * MINUTE_MS;
const USERS = ['ada', 'bob', 'cléo/7', 'dan'];

type Step =
  | {
      readonly do: 'event';
      readonly user: string;
      readonly id: string;
      readonly product: string;
      readonly agoMs: number;
    }
  | { readonly do: 'erase'; readonly user: string }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'run' | 'crash' | 'fold and crash' };

const user = fc.constantFrom(...USERS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('event' as const),
      user,
      // Few ids: both sides of a cut use the same ones, within and outside the duplicate horizon.
      id: fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5', 'e6'),
      product: fc.constantFrom('p1', 'p2', 'p3'),
      agoMs: fc.constantFrom(0, 1, HOUR_MS, DAY_MS, 30 * DAY_MS, 88 * DAY_MS),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('erase' as const), user }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, MINUTE_MS, 6 * HOUR_MS, 6 * HOUR_MS + 1, DAY_MS, 45 * DAY_MS),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('run', 'run', 'crash', 'fold and crash') }) },
);

test('I15: nothing from before a cut is left in a feature of its user, wherever tasks crash', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40, size: 'max' }), fc.constantFrom(0, 1), play),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 30) },
  );
});

async function play(steps: readonly Step[], checkpointIntervalMs: number): Promise<void> {
  const driver = await open(checkpointIntervalMs);
  const log: RawRecord[] = [];
  const send = async (key: string, value: Event | null) => {
    const partition = partitionOf(PARTITIONS, Buffer.from(key));
    const offset = log.filter((record) => record.partition === partition).length;
    log.push({ partition, offset, logTime: driver.clock.now(), key, value });
    await driver.pipe(events.name, key, value);
  };
  try {
    for (const next of steps) {
      if (next.do === 'event') await send(next.user, eventOf(next, driver.clock.now()));
      else if (next.do === 'erase') await send(next.user, null);
      else if (next.do === 'wait') driver.clock.advance(next.ms);
      else if (next.do === 'run') {
        await driver.run();
        await holds(driver, referenceOf(log));
      } else {
        if (next.do === 'fold and crash') await driver.foldOnly();
        await driver.crash();
      }
    }
    for (const ms of [INTERACTIONS_MS, CHANGELOG_MS, CHANGELOG_MS]) {
      driver.clock.advance(ms);
      await driver.run();
    }
    const reference = referenceOf(log);
    await holds(driver, reference);
    await agrees(driver, reference);
    await changelogKnowsOnly(driver, new Set(reference.users));
    const hashes = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), hashes, 'a restored state has the same bits');
  } finally {
    await driver.close();
  }
}

function open(checkpointIntervalMs = 0): Promise<Driver> {
  return Driver.open({
    now: START,
    partitions: PARTITIONS,
    commitIntervalMs: 0,
    changelogIntervalMs: CHANGELOG_MS,
    interactionsIntervalMs: INTERACTIONS_MS,
    checkpointIntervalMs,
  });
}

function eventOf({ user, id, product, agoMs }: Step & { do: 'event' }, now: number): Event {
  return {
    event_id: id,
    user_id: user,
    product_id: product,
    category: `c-${product}`,
    event_type: 'purchase',
    ts: now - agoMs,
  };
}

function referenceOf(log: readonly RawRecord[]): Reference {
  return new Reference(log, undefined, { ...DEFAULT_SETTINGS, partitions: PARTITIONS });
}

/** Checked whenever everything is folded: an erased user waits for nothing, not even for the slower output. */
async function holds(driver: Driver, reference: Reference): Promise<void> {
  const now = driver.clock.now();
  const affinity = await driver.table<Affinity>(driver.topics.affinity.name);
  const interactions = await driver.table<Interactions>(driver.topics.interactions.name);
  const forgotten = new Set(reference.intake.erasures.map(({ key }) => key!));
  for (const id of USERS) {
    const left = reference.affinity(id, now);
    assert.equal(affinity.has(id), left !== null, `affinity of ${id}`);
    if (!forgotten.has(id)) continue;
    if (left === null) assert.ok(!interactions.has(id), `interactions of ${id} are gone`);
    const row = interactions.get(id);
    const counts = new Map(reference.interactions(id, row?.as_of ?? now)?.items.map((item) => [item.product_id, item]));
    for (const { product_id, count } of row?.items ?? [])
      assert.ok(count <= (counts.get(product_id)?.count ?? 0), `${id} with ${product_id} as it was before the cut`);
  }
}

async function agrees(driver: Driver, reference: Reference): Promise<void> {
  const now = driver.clock.now();
  const affinity = await driver.table<Affinity>(driver.topics.affinity.name);
  for (const [id, row] of affinity) {
    const expected = reference.affinity(id, row.as_of)!;
    assert.deepEqual(Object.keys(row.scores).sort(), [...expected.keys()].sort(), `categories of ${id}`);
    for (const [category, share] of expected) near(row.scores[category]!, share, `${id} for ${category}`);
  }
  const interactions = await driver.table<Interactions>(driver.topics.interactions.name);
  assert.deepEqual([...interactions.keys()].sort(), [...affinity.keys()].sort());
  for (const [id, row] of interactions) {
    const expected = new Map(reference.interactions(id, row.as_of)!.items.map((item) => [item.product_id, item]));
    assert.equal(row.items.length, expected.size, `items of ${id}`);
    for (const { product_id, weight, count } of row.items) {
      assert.equal(count, expected.get(product_id)!.count, `${id} with ${product_id}`);
      near(weight, expected.get(product_id)!.weight, `${id} with ${product_id}`);
    }
  }
  const popularity = await driver.table<Popularity>(driver.topics.popularity.name);
  const alive = reference.products.filter((product) => reference.popularity(product, now) !== null);
  assert.deepEqual([...popularity.keys()].sort(), alive.sort(), 'erasures remove nothing from popularity');
  for (const [product, row] of popularity) {
    const expected = reference.popularity(product, row.as_of)!;
    assert.equal(row.purchases, expected.purchases, `${product}: the past weight stays, as a sum`);
    near(row.score, expected.score, product);
  }
}

/**
 * Rows of the changelog that still have a value belong to users who have events after their last cut, or to days that
 * had already left the window: those expire by retention.
 */
async function changelogKnowsOnly(driver: Driver, known: ReadonlySet<string>): Promise<void> {
  const windowStart = Math.floor(driver.clock.now() / DAY_MS) - 89;
  const rows = new Map<string, boolean>();
  const topic = driver.topics.activityChangelog.name;
  for (let partition = 0; partition < PARTITIONS; partition++)
    await visitRows(driver.log, { topic, partition, offset: 0 }, ({ bytes, keyStart, keyEnd, valueStart }, row) => {
      rows.set(bytes.toString('utf8', keyStart[row]!, keyEnd[row]!), valueStart[row]! >= 0);
      return true;
    });
  rows.delete('!marker');
  for (const [key, hasValue] of rows) {
    const day = Number.parseInt(key, 10);
    if (!hasValue || day < windowStart) continue;
    assert.ok(known.has(key.slice(key.indexOf('/') + 1)), `${key} should be deleted in the changelog`);
  }
}

test('I15: a row of several changelog records is deleted with all of them', async () => {
  const driver = await open();
  try {
    const writer = await driver.log.writer([events.name]);
    for (let i = 0; i < 2_000; i++) {
      const event = { event_id: `e${i}`, user_id: 'ada', product_id: `p${i}`, category: 'c', ts: START } as const;
      writer.add(events.name, Buffer.from('ada'), driver.codec.encode('Event', { ...event, event_type: 'view' }));
    }
    await writer.flush();
    await writer.close();
    await flushed(driver);
    await driver.pipe(events.name, 'ada', null);
    await flushed(driver);
    await changelogKnowsOnly(driver, new Set());
    await driver.crash();
    await driver.pipe(events.name, 'ada', {
      ...eventOf({ do: 'event', user: 'ada', id: 'new', product: 'p0', agoMs: 0 }, START),
    });
    await driver.run();
    const { items } = (await driver.table<Interactions>(driver.topics.interactions.name)).get('ada')!;
    assert.deepEqual(
      items.map(({ product_id, count }) => [product_id, count]),
      [['p0', 1]],
    );
  } finally {
    await driver.close();
  }
});

async function flushed(driver: Driver): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await driver.run();
    driver.clock.advance(CHANGELOG_MS);
  }
  await driver.run();
}

test('I15: an unknown user can be erased too, and the stream continues', async () => {
  const driver = await open();
  try {
    await driver.pipe(events.name, 'nobody', null);
    await driver.pipe(
      events.name,
      'ada',
      eventOf({ do: 'event', user: 'ada', id: 'e', product: 'p', agoMs: 0 }, START),
    );
    await driver.run();
    const deletions = (await driver.records(driver.topics.affinity.name)).filter(({ value }) => value === null);
    assert.deepEqual(
      deletions.map(({ key }) => key),
      ['nobody'],
    );
    assert.deepEqual([...(await driver.table(driver.topics.affinity.name)).keys()], ['ada']);
  } finally {
    await driver.close();
  }
});

function near(actual: number, expected: number, what: string): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= 1e-9, `${what}: ${actual}, expected ${expected}, relative error ${error}`);
}
