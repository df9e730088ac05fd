/** The audit with the real tasks, on streams full of edge cases: no false alarm, and no wrong value missed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Audit } from '../../../../publishing/audit/audit.js';
import { type AuditReport, isClean } from '../../../../publishing/audit/report.js';
import type { StoredInteraction, StoredInteractions } from '../../../../publishing/sinks/interactions-row.js';
import type { Event, Product } from '../../../../schemas/records.js';
import { events, products } from '../../../../topics/events.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { Driver } from '../../../support/driver.js';
import { STREAM_CATALOGUE, streamArbitrary } from '../../../support/generator.js';
import { ServedTopics, type StoredRows } from '../../../support/served-topics.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const POPULARITY_HALF_LIFE_MS = 14 * DAY_MS;
const SETTINGS = {
  popularityHalfLifeMs: POPULARITY_HALF_LIFE_MS,
  affinityHalfLifeMs: 30 * DAY_MS,
  duplicateHorizonMs: 6 * HOUR_MS,
};
const NOON = Date.UTC(2026, 10, 3, 12);
const PARTITIONS = 2;

interface Rig {
  readonly driver: Driver;
  readonly served: ServedTopics;
  audit(over?: { share?: number; salt?: string; keysMax?: number }): Audit;
}

/** Nothing advances by itself; with `works` the tasks continue while a caller waits. */
async function rig(now: number, works = false): Promise<Rig> {
  const driver = await Driver.open({ now, partitions: PARTITIONS, commitIntervalMs: 0 });
  const served = new ServedTopics(driver, POPULARITY_HALF_LIFE_MS);
  const waiting = async () => {
    if (works) await driver.run();
  };
  return {
    driver,
    served,
    audit: ({ share = 1, salt = '', keysMax = 1_000 } = {}) =>
      new Audit({
        log: driver.log,
        codec: driver.codec,
        clock: { now: () => driver.clock.now(), elapsed: () => driver.clock.elapsed(), sleep: waiting },
        served,
        positions: served.positions,
        set: featureSet(1),
        settings: SETTINGS,
        sample: { share, salt, keysMax, eventsMax: 10_000 },
        busyShare: 1,
        depth: 'all',
        patienceMs: 0,
      }),
  };
}

function event(over: Partial<Event> & Pick<Event, 'event_id'>, ts: number): Event {
  return { user_id: 'u', product_id: 'p', category: 'shoes', event_type: 'view', ts, ...over };
}

function product(product_id: string, category: string): Product {
  return { product_id, title: product_id, description: '', category, price: null, updated_at: 0 };
}

async function send({ driver }: Rig, over: Partial<Event> & Pick<Event, 'event_id'>): Promise<void> {
  const value = event(over, driver.clock.now());
  await driver.pipe(events.name, value.user_id, value);
}

async function run(audit: Audit): Promise<AuditReport> {
  try {
    return await audit.compare();
  } finally {
    await audit.close();
  }
}

function assertClean(report: AuditReport): void {
  assert.deepEqual({ behind: report.behind, differences: report.differences }, { behind: null, differences: [] });
  assert.ok(isClean(report) && report.largest_relative_error <= 1e-9);
}

/** Keys compared and found equal, over all comparisons. */
function same(report: AuditReport): number {
  return report.compared.reduce((sum, compared) => sum + compared.same, 0);
}

/** Ways to change one value that a reader would be served. */
const SPOILERS: Readonly<Record<string, (rows: StoredRows, pick: number, now: number) => boolean>> = {
  'a score in Postgres': ({ popularityRows: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, score: row.score * (1 + 1e-6) })),
  'a count in Postgres': ({ popularityRows: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, views: row.views + 1 })),
  'a category in Postgres': ({ popularityRows: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, category: `${row.category}!` })),
  'a row missing from Postgres': ({ popularityRows: rows }, pick) => change(rows, pick, () => null),
  'a row that was never written': ({ popularityRows: rows }, pick, now) => {
    rows.set(`ghost-${pick}`, { asOf: now, score: 1, views: 1, add_to_carts: 0, purchases: 0, category: 'unknown' });
    return true;
  },
  'a rank': ({ popularityRanks: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, rank: row.rank! + 1e-6, categoryRank: row.rank! + 1e-6 })),
  'a rank in its category only': ({ popularityRanks: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, categoryRank: row.rank! + 1e-6 })),
  'a category in the online store': ({ popularityRanks: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, category: `${row.category}!` })),
  'a ghost in the ranking only': ({ popularityRanks: rows }, pick) => {
    rows.set(`ghost-${pick}`, { rank: 1, day: null, category: null, categoryRank: null, elsewhere: [] });
    return true;
  },
  'a ghost in a previous category': ({ popularityRanks: rows }, pick) =>
    change(rows, pick, (row) => ({ ...row, elsewhere: ['former'] })),
  'a missing rank': ({ popularityRanks: rows }, pick) => change(rows, pick, () => null),
  'a share in Postgres': ({ affinityRows: rows }, pick) => spoilShare(rows, pick),
  'a share in the online store': ({ affinityHashes: rows }, pick) => spoilShare(rows, pick),
  'a missing user': ({ affinityHashes: rows }, pick) => change(rows, pick, () => null),
  'a user whose hash has no time': ({ affinityHashes: rows }, pick) => change(rows, pick, () => 'ragged' as const),
  'a user who never existed': ({ affinityRows: rows }, pick, now) => {
    rows.set(`ghost-${pick}`, { asOf: now, scores: new Map([['shoes', 1]]) });
    return true;
  },
  'the weight of an interaction': ({ interactions: rows }, pick) =>
    changeItem(rows, pick, (item) => ({ ...item, weight: item.weight * (1 - 1e-6) })),
  'the count of an interaction': ({ interactions: rows }, pick) =>
    changeItem(rows, pick, (item) => ({ ...item, count: item.count + 1 })),
  'the purchases of an interaction': ({ interactions: rows }, pick) =>
    changeItem(rows, pick, (item) => ({ ...item, purchases: item.purchases + 1 })),
  'an interaction that never happened': ({ interactions: rows }, pick) =>
    changeItems(rows, pick, (items) => [...items, { productId: 'ghost', weight: 0, count: 1, purchases: 0 }]),
  'an interaction listed twice': ({ interactions: rows }, pick) =>
    changeItems(rows, pick, (items) => [...items, items.at(-1)!]),
  'interactions counted as left out': ({ interactions: rows }, pick) =>
    changeRow(rows, pick, (row) => ({ ...row, truncated: 1 })),
  'interactions without items': ({ interactions: rows }, pick) => changeItems(rows, pick, () => []),
  'unreadable interactions': ({ interactions: rows }, pick) => change(rows, pick, () => 'unreadable' as const),
  'interactions of a user who never existed': ({ interactions: rows }, pick, now) => {
    const items = [{ productId: 'p', weight: 1, count: 1, purchases: 0 }];
    rows.set(`ghost-${pick}`, { asOf: now, items, truncated: 0 });
    return true;
  },
};

/** These are found once the catalogue has held the product's current record for a while. */
const AT_REST: typeof SPOILERS = {
  'a missing interaction': ({ interactions: rows }, pick) => changeItems(rows, pick, (items) => items.slice(1)),
  'interactions in another order': ({ interactions: rows }, pick) =>
    changeItems(rows, pick, (items) => [...items].reverse()),
  'missing interactions': ({ interactions: rows }, pick) => change(rows, pick, () => null),
};

function change<V>(rows: Map<string, V>, pick: number, spoiled: (row: V) => V | null): boolean {
  const keys = [...rows.keys()].sort();
  if (keys.length === 0) return false;
  const key = keys[pick % keys.length]!;
  const value = spoiled(rows.get(key)!);
  if (value === null) rows.delete(key);
  else rows.set(key, value);
  return true;
}

type InteractionRows = StoredRows['interactions'];

function changeRow(rows: InteractionRows, pick: number, spoiled: (row: StoredInteractions) => StoredInteractions) {
  return change(rows, pick, (row) => (row === 'unreadable' ? row : spoiled(row)));
}

function changeItems(
  rows: InteractionRows,
  pick: number,
  spoiled: (items: readonly StoredInteraction[]) => readonly StoredInteraction[],
) {
  return changeRow(rows, pick, (row) => ({ ...row, items: spoiled(row.items) }));
}

function changeItem(rows: InteractionRows, pick: number, spoiled: (item: StoredInteraction) => StoredInteraction) {
  return changeItems(rows, pick, (items) => items.map((item, i) => (i === pick % items.length ? spoiled(item) : item)));
}

function spoilShare(rows: Map<string, { asOf: number; scores: ReadonlyMap<string, number> } | 'ragged'>, pick: number) {
  return change(rows, pick, (row) => {
    if (row === 'ragged') return row;
    const [[name, share]] = [...row.scores] as [[string, number]];
    return { ...row, scores: new Map([...row.scores, [name, share * (1 - 1e-6)]]) };
  });
}

test('I19: any stream, crashes, erasures, midnight, deletions: no false alarm, and a single wrong value is found', async () => {
  const found = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      streamArbitrary({ partitions: PARTITIONS, stepsMax: 40 }),
      fc.array(fc.constantFrom('none', 'none', 'run', 'crash', 'audit'), { minLength: 40, maxLength: 40 }),
      fc.constantFrom(0, 3 * HOUR_MS, DAY_MS, 30 * DAY_MS, 89 * DAY_MS, 90 * DAY_MS),
      fc.constantFrom('', 'a', 'b'),
      fc.integer({ min: 0, max: 1_000 }),
      async (stream, actions, later, salt, pick) => {
        const one = await rig(stream[0]!.logTime);
        const { driver, served } = one;
        try {
          for (const [id, category] of STREAM_CATALOGUE.categories)
            await driver.pipe(products.name, id, product(id, category));
          for (const id of STREAM_CATALOGUE.deleted) await driver.pipe(products.name, id, null);
          await driver.crash();
          const following = one.audit({ share: 0.5, salt });
          for (const [index, record] of stream.entries()) {
            driver.clock.moveTo(record.logTime);
            await driver.pipe(events.name, record.key, record.value, { partition: record.partition });
            if (actions[index] === 'run') await driver.run();
            if (actions[index] === 'crash') await driver.crash();
            if (actions[index] === 'audit') {
              await driver.run();
              assertClean(await following.compare());
            }
          }
          await driver.run();
          assertClean(await following.compare());
          driver.clock.advance(later);
          // The rows still include the days that left.
          assertClean(await following.compare());
          assertClean(await run(one.audit()));
          await driver.run();
          await driver.crash();
          assertClean(await following.compare());
          assertClean(await run(one.audit()));
          await following.close();
          const names = Object.keys(SPOILERS);
          const name = names[pick % names.length]!;
          let spoiled = false;
          served.spoil = (rows) => {
            spoiled = SPOILERS[name]!(rows, pick, driver.clock.now());
          };
          const report = await run(one.audit());
          assert.equal(report.behind, null);
          assert.equal(!isClean(report), spoiled, `${name} was ${spoiled ? 'not found' : 'not there'}`);
          if (spoiled) found.add(name);
        } finally {
          await driver.close();
        }
      },
    ),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 25) },
  );
  assert.ok(found.size > 2, `only ${[...found].join(', ')} were tried`);
});

test('I19: every kind of wrong value is found, and named', async () => {
  const one = await rig(NOON);
  try {
    await one.driver.pipe(products.name, 'p', product('p', 'shoes'));
    await one.driver.crash();
    one.driver.clock.advance(2 * HOUR_MS);
    await send(one, { event_id: '1' });
    await send(one, { event_id: '2', event_type: 'purchase', category: 'hats' });
    await send(one, { event_id: '3', product_id: 'q' });
    await one.driver.run();
    const clean = await run(one.audit());
    assertClean(clean);
    assert.equal(same(clean), 7);
    for (const [name, spoil] of Object.entries({ ...SPOILERS, ...AT_REST })) {
      one.served.spoil = (rows) => void spoil(rows, 0, NOON);
      const report = await run(one.audit());
      assert.ok(!isClean(report), name);
      for (const { key, what } of report.differences) assert.ok(key.length > 0 && what.length > 0, name);
    }
  } finally {
    await one.driver.close();
  }
});

test('a value that was wrong only for a moment is not a difference', async () => {
  const one = await rig(NOON);
  try {
    await send(one, { event_id: '1' });
    await one.driver.run();
    let reads = 0;
    one.served.spoil = ({ popularityRows }) => {
      if (++reads <= 3) popularityRows.clear();
    };
    assertClean(await run(one.audit()));
    assert.ok(reads > 3);
  } finally {
    await one.driver.close();
  }
});

test('the audit waits for records that have not passed the tasks, and reports a standstill without an alarm', async () => {
  const one = await rig(NOON);
  try {
    await send(one, { event_id: '1' });
    const report = await run(one.audit());
    assert.match(report.behind ?? '', /^Nothing moves: the activity tasks have 1 records of events to read\.$/);
    assert.deepEqual(report.differences, []);
    await one.driver.run();
    assertClean(await run(one.audit()));
  } finally {
    await one.driver.close();
  }
});

test('a key that always changes: its newest events may or may not be in its rows, but none in between may be missing', async () => {
  for (const inRow of [true, false]) {
    const one = await rig(NOON, true);
    const { driver, served } = one;
    try {
      for (let i = 0; i < 6; i++) await send(one, { event_id: `${i}`, user_id: `u${i % 3}` });
      await driver.run();
      let n = 6;
      const busy = async () => {
        for (const user_id of ['u0', 'u1']) await send(one, { event_id: `${n++}`, user_id, event_type: 'purchase' });
        if (inRow) await driver.run();
        // Never in a row read at this time.
        await send(one, { event_id: `${n++}`, user_id: 'u2', event_type: 'add_to_cart' });
      };
      served.beforeRead = busy;
      assertClean(await run(one.audit()));
      // One of the events that passed long ago is missing from the served rows.
      served.spoil = ({ popularityRows: rows }) =>
        void change(rows, 0, (row) => ({ ...row, views: row.views - 1, score: row.score - 1 }));
      const report = await run(one.audit());
      assert.deepEqual([...new Set(report.differences.map(({ store, key }) => `${store} ${key}`))], ['postgres p']);
    } finally {
      await driver.close();
    }
  }
});

test('the audit waits for an emptied store: rows that are not there yet are not differences', async () => {
  const one = await rig(NOON);
  const { driver, served } = one;
  try {
    await send(one, { event_id: '1' });
    await driver.run();
    served.applied = false;
    served.spoil = (rows) => rows.popularityRanks.clear();
    const report = await run(one.audit());
    assert.match(
      report.behind ?? '',
      /^Nothing moves: redis has \d+ records of (popularity|affinity|interactions)\.v1 to apply\.$/,
    );
    assert.deepEqual(report.differences, []);
    served.applied = true;
    served.missing = 'interactions.v1';
    served.spoil = (rows) => rows.interactions.clear();
    assert.equal((await run(one.audit())).behind, 'Nothing moves: redis has 1 records of interactions.v1 to apply.');
    served.missing = null;
    // Emptied only after everything had passed, while rows are being read.
    served.beforeRead = async () => {
      served.applied = false;
    };
    assert.deepEqual((await run(one.audit())).differences, []);
  } finally {
    await driver.close();
  }
});

test('an id reused for another product: a sample that does not include its first use counts again', async () => {
  const one = await rig(NOON);
  const { driver } = one;
  try {
    // Some salt includes the second product but neither the user nor the first product.
    for (let i = 0; i < 8; i++) {
      await send(one, { event_id: 'again', user_id: `u${i}`, product_id: `first-${i}` });
      await send(one, { event_id: 'again', user_id: `u${i}`, product_id: `second-${i}` });
      await send(one, { event_id: 'other', user_id: `u${i}`, product_id: `second-${i}` });
    }
    await driver.run();
    let compared = 0;
    for (const salt of ['a', 'b', 'c', 'd', 'e']) {
      const report = await run(one.audit({ share: 0.4, salt }));
      assertClean(report);
      compared += same(report);
    }
    assert.ok(compared > 20);
  } finally {
    await driver.close();
  }
});

test('a changed catalogue: users whose category came from it are left out, but not the product itself', async () => {
  const one = await rig(NOON);
  const { driver, served } = one;
  try {
    await driver.pipe(products.name, 'p', product('p', 'shoes'));
    await driver.crash();
    await send(one, { event_id: '1', user_id: 'u1', category: null });
    await send(one, { event_id: '2', user_id: 'u2', category: 'own' });
    await driver.run();
    assertClean(await run(one.audit()));
    driver.clock.advance(2 * HOUR_MS);
    await driver.pipe(products.name, 'p', product('p', 'boots'));
    await driver.crash();
    await driver.run();
    const report = await run(one.audit());
    assertClean(report);
    const users = report.compared.filter(({ artefact }) => artefact === 'affinity');
    assert.deepEqual(
      users.map((compared) => [compared.same, compared.left_out]),
      [
        [1, 1],
        [1, 1],
      ],
    );
    served.spoil = ({ popularityRanks: ranks }) => ranks.set('p', { ...ranks.get('p')!, category: 'shoes' });
    assert.deepEqual(
      (await run(one.audit())).differences.map(({ what, served: is, expected }) => [what, is, expected]),
      [['category', 'shoes', 'boots']],
    );
    await driver.pipe(products.name, 'p', null);
    await driver.crash();
    await driver.run();
    served.spoil = () => undefined;
    assertClean(await run(one.audit()));
  } finally {
    await driver.close();
  }
});

test('a row that the finished sweep has missed is a difference, but not before the sweep is finished', async () => {
  const one = await rig(NOON);
  const { driver, served } = one;
  try {
    await send(one, { event_id: '1' });
    driver.clock.advance(60 * DAY_MS);
    await send(one, { event_id: '2' });
    await driver.run();
    const stale = await served.rows();
    driver.clock.advance(30 * DAY_MS);
    assertClean(await run(one.audit()));
    await driver.run();
    assertClean(await run(one.audit()));
    // A marker reports the sweep finished before it: the next commit of the same task.
    for (let i = 0; i < 8; i++) await send(one, { event_id: `later-${i}`, product_id: `other-${i}` });
    await driver.run();
    served.spoil = (rows) => rows.popularityRows.set('p', stale.popularityRows.get('p')!);
    const report = await run(one.audit());
    assert.deepEqual(
      report.differences.map(({ store, what }) => [store, what]),
      [['postgres', 'day']],
    );
  } finally {
    await driver.close();
  }
});

test('a sample over its bounds shrinks and stays complete', async () => {
  const one = await rig(NOON);
  try {
    for (let i = 0; i < 60; i++) await send(one, { event_id: `${i}`, user_id: `u${i % 30}`, product_id: `p${i % 20}` });
    await one.driver.run();
    const report = await run(one.audit({ keysMax: 8 }));
    assertClean(report);
    assert.ok(report.sample.users <= 8 && report.sample.users >= 4, JSON.stringify(report.sample));
    assert.ok(report.sample.users_share < 0.5 && report.sample.users_share > 0.05, JSON.stringify(report.sample));
    assert.ok(same(report) >= 16);
  } finally {
    await one.driver.close();
  }
});

test('interactions wait for their turn: a row lacks the changes not yet due, and nothing else', async () => {
  const one = await rig(NOON);
  const { driver, served } = one;
  try {
    for (let i = 0; i < 3; i++) await send(one, { event_id: `${i}`, product_id: `p${i % 2}` });
    await driver.run();
    driver.clock.advance(60_000);
    for (let i = 3; i < 9; i++) await send(one, { event_id: `${i}`, product_id: `p${i % 4}`, event_type: 'purchase' });
    await driver.run();
    const held = (await served.rows()).interactions.get('u') as StoredInteractions;
    assert.equal(held.items.length, 2, 'the row is still the first one');
    const waiting = await run(one.audit());
    assertClean(waiting);
    assert.equal(waiting.compared.at(-1)!.same, 1);
    served.spoil = ({ interactions: rows }) => changeItem(rows, 0, (item) => ({ ...item, count: item.count - 1 }));
    assert.deepEqual(
      (await run(one.audit())).differences.map(({ what, served: is, expected }) => [what, is, expected]),
      [['count of p0', 1, 2]],
    );
    served.spoil = () => undefined;
    driver.clock.advance(600_000);
    await driver.run();
    assertClean(await run(one.audit()));
    // The row that was right ten minutes ago is now wrong.
    served.spoil = ({ interactions: rows }) => rows.set('u', held);
    const late = await run(one.audit());
    assert.deepEqual(
      late.differences.map(({ artefact, what }) => [artefact, what]).sort(),
      ['count of p0', 'count of p1', 'item p2', 'item p3', 'purchases of p0', 'purchases of p1']
        .map((what) => ['interactions', what])
        .concat([
          ['interactions', 'weight of p0'],
          ['interactions', 'weight of p1'],
        ]),
    );
  } finally {
    await driver.close();
  }
});

test('a product deleted or restored since: an interaction may be there or not, but not with wrong numbers', async () => {
  const one = await rig(NOON);
  const { driver, served } = one;
  const told = async (id: string, value: Product | null) => {
    await driver.pipe(products.name, id, value);
    await driver.crash();
    await driver.run();
  };
  const items = async () => {
    const report = await run(one.audit());
    const { same, left_out, different } = report.compared.at(-1)!;
    return { same, left_out, different, whats: report.differences.map(({ what }) => what) };
  };
  const clean = { same: 1, left_out: 0, different: 0, whats: [] };
  try {
    await told('p', product('p', 'shoes'));
    driver.clock.advance(2 * HOUR_MS);
    await send(one, { event_id: '1' });
    await send(one, { event_id: '2', product_id: 'q' });
    await driver.run();
    assert.deepEqual(await items(), clean);
    driver.clock.advance(2 * HOUR_MS);
    await told('p', null);
    // The row was written earlier: it still shows the product.
    assert.deepEqual(await items(), clean);
    served.spoil = ({ interactions: rows }) => changeItem(rows, 0, (item) => ({ ...item, count: 7 }));
    assert.equal((await items()).different, 1);
    served.spoil = () => undefined;
    driver.clock.advance(2 * HOUR_MS);
    await send(one, { event_id: '3', product_id: 'q' });
    await driver.run();
    const without = (await served.rows()).interactions.get('u') as StoredInteractions;
    assert.deepEqual(
      without.items.map(({ productId }) => productId),
      ['q'],
    );
    assert.deepEqual(await items(), clean);
    // Deleted long ago, so it must not be there.
    const ghost = { productId: 'p', weight: without.items[0]!.weight / 4, count: 1, purchases: 0 };
    served.spoil = (rows) => rows.interactions.set('u', { ...without, items: [...without.items, ghost] });
    assert.deepEqual((await items()).whats, ['item p']);
    served.spoil = () => undefined;
    driver.clock.advance(2 * HOUR_MS);
    await told('p', product('p', 'shoes'));
    assert.deepEqual(await items(), clean);
    // A user with only restored products: no row is written, and that is not wrong.
    await told('p', null);
    driver.clock.advance(2 * HOUR_MS);
    await send(one, { event_id: '4', user_id: 'v' });
    await driver.run();
    assert.equal((await served.rows()).interactions.has('v'), false);
    assert.deepEqual(await items(), { ...clean, same: 2 });
    driver.clock.advance(2 * HOUR_MS);
    await told('p', product('p', 'shoes'));
    assert.deepEqual(await items(), { ...clean, left_out: 1 });
  } finally {
    await driver.close();
  }
});
