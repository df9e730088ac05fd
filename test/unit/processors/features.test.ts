/** Popularity, affinity and interactions against the slow reference: any stream, any commit points, any crashes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Affinity, DeadLetter, Interactions, Popularity, Product } from '../../../schemas/records.js';
import { deadLetters, events, lateEvents, products } from '../../../topics/events.js';
import { Driver } from '../../support/driver.js';
import { STREAM_CATALOGUE, streamArbitrary } from '../../support/generator.js';
import { DEFAULT_SETTINGS, type RawRecord, Reference, relativeError } from '../../support/reference.js';

const DAY_MS = 86_400_000;
const ERROR_MAX = 1e-9;
const PARTITIONS = 2;

type Action = 'none' | 'run' | 'crash' | 'fold and crash';
const action: fc.Arbitrary<Action> = fc.constantFrom('none', 'none', 'none', 'run', 'crash', 'fold and crash');

test('I1: whatever arrives in whatever order, and wherever tasks die, features equal a recount from the raw log', async () => {
  await fc.assert(
    fc.asyncProperty(
      streamArbitrary({ partitions: PARTITIONS, stepsMax: 40 }),
      fc.array(action, { minLength: 40, maxLength: 40 }),
      fc.constantFrom(0, 1, 3 * 3_600_000, DAY_MS, 30 * DAY_MS, 89 * DAY_MS, 90 * DAY_MS),
      async (stream, actions, later) => {
        const start = stream[0]!.logTime;
        const driver = await open(start);
        try {
          await fillCatalogue(driver);
          const log: RawRecord[] = [];
          for (const [index, record] of stream.entries()) {
            driver.clock.moveTo(record.logTime);
            log.push({ ...record, logTime: driver.clock.now() });
            await driver.pipe(events.name, record.key, record.value, { partition: record.partition });
            if (actions[index] === 'run') await driver.run();
            if (actions[index] === 'fold and crash') await driver.foldOnly();
            if (actions[index]?.includes('crash')) await driver.crash();
          }
          await driver.run();
          driver.clock.advance(later);
          await driver.run();
          await agrees(driver, new Reference(log, STREAM_CATALOGUE, { ...DEFAULT_SETTINGS, partitions: PARTITIONS }));
          const before = driver.stateHashes();
          await driver.crash();
          assert.deepEqual(driver.stateHashes(), before, 'a restored state has the same bits');
        } finally {
          await driver.close();
        }
      },
    ),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 60) },
  );
});

function open(now: number): Promise<Driver> {
  return Driver.open({
    now,
    partitions: PARTITIONS,
    commitIntervalMs: 0,
    changelogIntervalMs: 60_000,
    interactionsIntervalMs: 1,
  });
}

async function fillCatalogue(driver: Driver): Promise<void> {
  const product = (product_id: string, category: string): Product => ({
    product_id,
    title: product_id,
    description: '',
    category,
    price: null,
    updated_at: driver.clock.now(),
  });
  for (const [id, category] of STREAM_CATALOGUE.categories) await driver.pipe(products.name, id, product(id, category));
  for (const id of STREAM_CATALOGUE.deleted) {
    await driver.pipe(products.name, id, product(id, 'shoes'));
    await driver.pipe(products.name, id, null);
  }
  await driver.crash();
}

async function agrees(driver: Driver, reference: Reference): Promise<void> {
  const now = driver.clock.now();
  const popularity = await driver.table<Popularity>(driver.topics.popularity.name);
  for (const [product, row] of popularity) {
    const expected = reference.popularity(product, row.as_of);
    assert.ok(expected, `popularity of ${product} should be gone`);
    near(row.score, expected.score, `popularity of ${product}`);
    assert.deepEqual(
      { ...row, score: 0, as_of: 0 },
      { ...expected, product_id: product, score: 0, as_of: 0 },
      `popularity of ${product}`,
    );
  }
  const alive = reference.products.filter((product) => reference.popularity(product, now) !== null);
  assert.deepEqual([...popularity.keys()].sort(), alive.sort(), 'products with popularity');

  const affinity = await driver.table<Affinity>(driver.topics.affinity.name);
  for (const [user, row] of affinity) {
    const expected = reference.affinity(user, row.as_of);
    assert.ok(expected, `affinity of ${user} should be gone`);
    assert.deepEqual(Object.keys(row.scores).sort(), [...expected.keys()].sort(), `categories of ${user}`);
    for (const [category, share] of expected) near(row.scores[category]!, share, `affinity of ${user} for ${category}`);
  }
  const active = reference.users.filter((user) => reference.affinity(user, now) !== null);
  assert.deepEqual([...affinity.keys()].sort(), active.sort(), 'users with affinity');

  const interactions = await driver.table<Interactions>(driver.topics.interactions.name);
  for (const [user, row] of interactions) {
    const expected = reference.interactions(user, row.as_of);
    assert.ok(expected, `interactions of ${user} should be gone`);
    assert.equal(row.truncated, expected.truncated);
    const byId = new Map(expected.items.map((item) => [item.product_id, item]));
    assert.deepEqual(row.items.map(({ product_id }) => product_id).sort(), [...byId.keys()].sort());
    for (const { product_id, weight, count, last_ts } of row.items) {
      near(weight, byId.get(product_id)!.weight, `interaction of ${user} with ${product_id}`);
      assert.deepEqual(
        { count, last_ts },
        { count: byId.get(product_id)!.count, last_ts: byId.get(product_id)!.last_ts },
      );
    }
  }
  const interacting = reference.users.filter((user) => reference.interactions(user, now) !== null);
  assert.deepEqual([...interactions.keys()].sort(), interacting.sort(), 'users with interactions');

  const late = await driver.records(lateEvents.name);
  assert.equal(late.length, reference.intake.late.length, 'late events');
  const letters = await driver.records<DeadLetter>(deadLetters.name);
  const place = ({ partition, offset }: { partition: number; offset: number }) => `${partition}@${offset}`;
  assert.deepEqual(
    letters.map(({ value }) => place(value!.source!)).sort(),
    reference.intake.dead.map(({ record }) => place(record)).sort(),
    'dead letters, one each',
  );
}

function near(actual: number, expected: number, what: string): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= ERROR_MAX, `${what}: ${actual}, expected ${expected}, relative error ${error}`);
}
