/**
 * Popularity, affinity and interactions compared with the slow reference: any stream, any commit points, any crashes.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type RawRecord, relativeError } from '../../../../publishing/audit/reference.js';
import type { Affinity, DeadLetter, Interactions, Popularity, Product } from '../../../../schemas/records.js';
import { deadLetters, events, lateEvents, products } from '../../../../topics/events.js';
import { Driver, type DriverOptions } from '../../../support/driver.js';
import { STREAM_CATALOGUE, streamArbitrary } from '../../../support/generator.js';
import { listener, type Said } from '../../../support/listener.js';
import { DEFAULT_SETTINGS, Reference } from '../../../support/reference.js';

const DAY_MS = 86_400_000;
const ERROR_MAX = 1e-9;
const PARTITIONS = 2;
const INTERACTIONS_MS = 600_000;
/** The ways in which tasks were restored. */
const ways = new Set<unknown>();

type Action =
  | 'none'
  | 'run'
  | 'crash'
  | 'fold and crash'
  | 'keep copies'
  | 'put copies back and crash'
  | 'crash and damage';
const action: fc.Arbitrary<Action> = fc.constantFrom(
  'none',
  'none',
  'none',
  'none',
  'run',
  'run',
  'crash',
  'fold and crash',
  'keep copies',
  'put copies back and crash',
  'crash and damage',
);
/** No checkpoints; or one after every commit that is at least this many ms after the previous one. */
const checkpointIntervalMs = fc.constantFrom(0, 1, 1, 20_000);

test('I1, I2, I17: for any input in any order, and wherever tasks crash, features equal a recount from the raw log', async () => {
  await fc.assert(
    fc.asyncProperty(
      streamArbitrary({ partitions: PARTITIONS, stepsMax: 40 }),
      fc.array(action, { minLength: 40, maxLength: 40 }),
      fc.constantFrom(0, 1, 3 * 3_600_000, DAY_MS, 30 * DAY_MS, 89 * DAY_MS, 90 * DAY_MS),
      checkpointIntervalMs,
      fc.constantFrom(1, INTERACTIONS_MS),
      async (stream, actions, later, checkpointInterval, interactionsIntervalMs) => {
        const start = stream[0]!.logTime;
        const said: Said[] = [];
        const driver = await open(start, {
          checkpointIntervalMs: checkpointInterval,
          interactionsIntervalMs,
          logger: listener(said),
        });
        try {
          await fillCatalogue(driver);
          const log: RawRecord[] = [];
          for (const [index, record] of stream.entries()) {
            driver.clock.moveTo(record.logTime);
            log.push({ ...record, logTime: driver.clock.now() });
            await driver.pipe(events.name, record.key, record.value, { partition: record.partition });
            if (actions[index] === 'run') await driver.run();
            if (actions[index] === 'fold and crash') await driver.foldOnly();
            await disturb(driver.checkpointFolder, actions[index]!, index);
            if (actions[index]?.includes('crash')) await driver.crash();
          }
          await driver.run();
          driver.clock.advance(later);
          await driver.run();
          driver.clock.advance(interactionsIntervalMs);
          await driver.run();
          await agrees(driver, new Reference(log, STREAM_CATALOGUE, { ...DEFAULT_SETTINGS, partitions: PARTITIONS }));
          const before = driver.stateHashes();
          said.length = 0;
          await driver.crash();
          assert.deepEqual(driver.stateHashes(), before, 'a restored state has the same bits');
          for (const { event, from } of said) if (event === 'task_restored') ways.add(from);
          await driver.crash({ checkpointIntervalMs: 0 });
          assert.deepEqual(driver.stateHashes(), before, 'and the same ones without its checkpoint');
        } finally {
          await driver.close();
        }
      },
    ),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 80) },
  );
  assert.ok(ways.has('changelog') && ways.has('checkpoint'), 'both ways of restoring were used');
});

function open(now: number, options: Partial<DriverOptions>): Promise<Driver> {
  return Driver.open({ now, partitions: PARTITIONS, commitIntervalMs: 0, changelogIntervalMs: 60_000, ...options });
}

/** What may happen to files while a task is down: an older copy is restored, a byte flips. */
async function disturb(folder: string, action: Action, seed: number): Promise<void> {
  const kept = `${folder}-kept`;
  if (action === 'keep copies' && existsSync(folder)) await cp(folder, kept, { recursive: true });
  if (action === 'put copies back and crash' && existsSync(kept)) await cp(kept, folder, { recursive: true });
  if (action !== 'crash and damage' || !existsSync(folder)) return;
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith('.ckpt')) continue;
    const bytes = await readFile(join(folder, name));
    const at = (seed * 7919) % bytes.length;
    bytes[at] = bytes[at]! ^ (1 << (seed % 8));
    await writeFile(join(folder, name), bytes);
  }
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
    for (const { weight, ...exact } of row.items) {
      const { weight: expectedWeight, ...rest } = byId.get(exact.product_id)!;
      near(weight, expectedWeight, `interaction of ${user} with ${exact.product_id}`);
      assert.deepEqual(exact, rest);
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
