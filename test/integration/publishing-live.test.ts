/** The complete publisher on the embedded log, a real Postgres, and Redis if available: what readers see. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { Layout } from '../../publishing/layout.js';
import { createPublisher, type PublisherOptions } from '../../publishing/live/publisher.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { createFeatureReader } from '../../publishing/reading/reader.js';
import { createLiveTables, installLiveVersion } from '../../publishing/versions/live-version.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { FreshetError, hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { openLocalStore } from '../../runtime/stores/local/local-store.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import type { Release } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { featureSet } from '../../topics/feature-set.js';
import { RUNNING_SETS } from '../../topics/running.js';
import { affinity, codec, Events, endsOf, popularity, write } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import { startRedis } from '../support/services/redis.js';
import type { Service } from '../support/services/service.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Noon of a day, with the whole day around it. */
const NOON = Math.floor(Date.now() / DAY_MS) * DAY_MS + 12 * HOUR_MS;

describe('the publisher', () => {
  let service: Service;
  let redis: Service | null;
  let database: Database;
  const events = new Events();

  before(async () => {
    service = await startPostgres();
    redis = await startRedis();
    database = await openPostgres({ url: service.url }, silentLogger);
    await migrateUp(database);
  });
  after(async () => {
    await database?.close();
    await redis?.stop();
    await service?.stop();
  });
  beforeEach(async () => {
    await database.execute(
      `TRUNCATE product_popularity_v1, user_affinity_v1, catalogue, users, dead_letters, sink_offsets, versions,
       version_heads`,
    );
  });

  async function openLog(t: TestContext): Promise<Log> {
    const folder = await mkdtemp(join(tmpdir(), 'freshet-live-'));
    const log = await openEmbeddedLog(folder, silentLogger);
    await applyTopics(log.admin, allTopics(), { kind: log.kind });
    t.after(async () => {
      await log.close();
      await rm(folder, { recursive: true, force: true });
    });
    return log;
  }

  async function openStore(t: TestContext, keyPrefix: string): Promise<OnlineStore> {
    if (redis !== null) {
      const store = await openRedis({ url: redis.url, keyPrefix }, silentLogger);
      t.after(() => store.close());
      return store;
    }
    const folder = await mkdtemp(join(tmpdir(), 'freshet-live-store-'));
    const store = await openLocalStore(folder, silentLogger);
    t.after(async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    });
    return store;
  }

  async function running(t: TestContext, environment: Record<string, string> = {}) {
    const log = await openLog(t);
    const prefix = `live:${randomBytes(4).toString('hex')}:`;
    const store = await openStore(t, prefix);
    const options: PublisherOptions = {
      ...{
        log,
        store,
        database,
        codec,
        ...openReporting(silentLogger),
        clock: systemClock,
        sets: [featureSet(1)],
      },
      settings: loadSettings({ REDIS_KEY_PREFIX: prefix, POSTGRES_COALESCE_MS: '20', ...environment }),
      pace: { checkMs: 100, backoffMs: { first: 10, most: 100 } },
    };
    const publisher = createPublisher(options);
    t.after(() => publisher.stop());
    const at = { now: NOON };
    const clock = { ...systemClock, now: () => at.now };
    const reader = createFeatureReader({ store, database, keyPrefix: prefix, clock });
    const applied = async (...topics: string[]) => {
      for (const topic of topics)
        await publisher.awaitApplied(topic, await endsOf(log, topic), AbortSignal.timeout(20_000));
    };
    return { log, store, layout: new Layout(prefix), options, publisher, reader, at, applied };
  }

  const near = (actual: number | undefined, expected: number) =>
    assert.ok(Math.abs((actual ?? Number.NaN) - expected) <= 1e-9 * expected, `${actual} is not ${expected}`);

  test('makes both stores answer for the time of the request', async (t) => {
    const { log, publisher, reader, at, applied } = await running(t, { POPULARITY_HALF_LIFE_H: '24' });
    await assert.rejects(reader.popular(null, 10), (error) => hasCode(error, 'unavailable'));
    await publisher.start();
    assert.deepEqual(await reader.popular(null, 10), { asOf: NOON, version: 1, items: [] });
    const [a, b] = [popularity('a', { score: 8, as_of: NOON }), popularity('b', { score: 2, as_of: NOON })];
    await write(log, 'popularity.v1', 'Popularity', [
      ['a', { ...a, category: 'shoes: red' }],
      ['b', { ...b, category: 'hats', views: 3, add_to_carts: 2, purchases: 1 }],
    ]);
    await write(log, 'affinity.v1', 'Affinity', [['u/1', affinity('u/1', { hats: 0.25, 'shoes: red': 0.75 }, NOON)]]);
    await applied('popularity.v1', 'affinity.v1');

    at.now = NOON + 6 * HOUR_MS;
    const list = await reader.popular(null, 10);
    assert.equal(list.asOf, at.now);
    assert.deepEqual(
      list.items.map(({ productId, category, asOf }) => [productId, category, asOf]),
      [
        ['a', 'shoes: red', undefined],
        ['b', 'hats', undefined],
      ],
    );
    near(list.items[0]?.score, 8 * 2 ** -0.25);
    assert.deepEqual(
      (await reader.popular('hats', 10)).items.map(({ productId }) => productId),
      ['b'],
    );
    assert.deepEqual((await reader.popular('shoes', 10)).items, []);
    assert.equal((await reader.popular(null, 1)).items.length, 1);

    const row = await reader.popularity('b');
    near(row?.score, 2 * 2 ** -0.25);
    assert.deepEqual(
      { ...row, score: 0 },
      { productId: 'b', score: 0, asOf: at.now, version: 1, views: 3, addToCarts: 2, purchases: 1 },
    );
    assert.equal(await reader.popularity('c'), null);
    assert.equal(await reader.popularity('c\0'), null);
    assert.deepEqual(await reader.affinity('u/1'), {
      ...{ userId: 'u/1', asOf: NOON, version: 1 },
      scores: { hats: 0.25, 'shoes: red': 0.75 },
    });
    assert.equal(await reader.affinity('u'), null);
  });

  test('does not decay scores across midnight', async (t) => {
    const { log, publisher, reader, at, applied } = await running(t, { POPULARITY_HALF_LIFE_H: '24' });
    await publisher.start();
    const swept = popularity('swept', { score: 4, as_of: NOON + 12 * HOUR_MS + 60_000 });
    const due = popularity('due', { score: 8, as_of: NOON });
    await write(log, 'popularity.v1', 'Popularity', [
      ['swept', swept],
      ['due', due],
    ]);
    await applied('popularity.v1');
    at.now = NOON + 13 * HOUR_MS;
    const lastMs = NOON + 12 * HOUR_MS - 1;
    const { items } = await reader.popular(null, 10);
    const of = (id: string) => items.find(({ productId }) => productId === id);
    assert.equal(of('swept')?.asOf, undefined);
    near(of('swept')?.score, 4 * 2 ** (-59 / 60 / 24));
    assert.equal(of('due')?.asOf, lastMs);
    near(of('due')?.score, 8 * 2 ** (-(12 * HOUR_MS - 1) / DAY_MS));
    const row = await reader.popularity('due');
    assert.equal(row?.asOf, lastMs);
    near(row?.score, 8 * 2 ** (-(12 * HOUR_MS - 1) / DAY_MS));
    assert.equal((await reader.popularity('swept'))?.asOf, at.now);
  });

  test('deletes everywhere, and brings producers’ tables and dead letters into Postgres', async (t) => {
    const { log, publisher, reader, applied } = await running(t);
    await publisher.start();
    const product = { product_id: 'a', title: 't', description: '', category: 'c', price: null, updated_at: NOON };
    await write(log, 'products', 'Product', [['a', product]]);
    await write(log, 'users', 'User', [['u', { user_id: 'u', tenant_id: 't', active: true, updated_at: NOON }]]);
    await write(log, 'popularity.v1', 'Popularity', [['a', popularity('a', { as_of: NOON })]]);
    await write(log, 'affinity.v1', 'Affinity', [['u', affinity('u', { c: 1 }, NOON)]]);
    const topics = ['products', 'users', 'popularity.v1', 'affinity.v1'];
    await applied(...topics);
    const counts = `SELECT (SELECT count(*) FROM products) AS products, (SELECT count(*) FROM users) AS users,
      (SELECT count(*) FROM product_popularity) AS popularity, (SELECT count(*) FROM user_affinity) AS affinity,
      (SELECT count(*) FROM dead_letters) AS letters`;
    const [before] = await database.query(counts);
    assert.deepEqual(before, { products: 1, users: 1, popularity: 1, affinity: 1, letters: 0 });
    assert.notEqual(await reader.affinity('u'), null);
    await write(log, 'products', 'Product', [['a', null]]);
    await write(log, 'users', 'User', [['u', null]]);
    await write(log, 'popularity.v1', 'Popularity', [['a', null]]);
    await write(log, 'affinity.v1', 'Affinity', [
      ['u', null],
      ['x', Buffer.from('poison')],
    ]);
    await applied(...topics, 'dead-letters');
    const [left] = await database.query(counts);
    // Both stores met the poison, but there is only one letter.
    assert.deepEqual(left, { products: 0, users: 0, popularity: 0, affinity: 0, letters: 1 });
    assert.equal(await reader.affinity('u'), null);
    assert.deepEqual((await reader.popular(null, 10)).items, []);
    assert.deepEqual((await reader.popular('c', 10)).items, []);
  });

  test('reports its positions and waits for future offsets', async (t) => {
    const { log, publisher } = await running(t);
    await publisher.start();
    await assert.rejects(publisher.awaitApplied('events', []), /no sink reads topic "events"/);
    const offset = 1;
    const ends = await endsOf(log, 'users');
    const future = ends.map(({ partition }) => ({ partition, offset }));
    const waiting = publisher.awaitApplied('users', future, AbortSignal.timeout(20_000));
    for (const { partition } of ends) {
      const writer = await log.writer(['users']);
      writer.add('users', Buffer.from('u'), null, { partition });
      await writer.flush();
      await writer.close();
    }
    await waiting;
    const stands = publisher.positions().filter(({ topic }) => topic === 'users');
    assert.deepEqual(
      stands.map(({ sink, partition, nextOffset }) => [sink, partition, nextOffset]).sort(),
      ends.map(({ partition }) => ['tables.postgres', partition, 1]),
    );
    const sinks = new Set(publisher.positions().map(({ sink, topic }) => `${sink} ${topic}`));
    assert.deepEqual([...sinks].sort(), [
      ...['features.v1.postgres affinity.v1', 'features.v1.postgres popularity.v1'],
      ...['features.v1.redis affinity.v1', 'features.v1.redis interactions.v1', 'features.v1.redis popularity.v1'],
      ...['shared.redis erasures', 'shared.redis products'],
      ...['tables.postgres dead-letters', 'tables.postgres erasures'],
      ...['tables.postgres products', 'tables.postgres users'],
    ]);
    const stop = new AbortController();
    const never = [{ partition: 0, offset: 1_000 }];
    const given = assert.rejects(publisher.awaitApplied('users', never, stop.signal), /enough/);
    stop.abort(new Error('enough'));
    await given;
    const cut = assert.rejects(publisher.awaitApplied('users', never), /stopping/);
    await publisher.stop();
    await cut;
  });

  test('answers for both when shared by two processes', async (t) => {
    const { log, options, publisher, applied } = await running(t);
    const other = createPublisher(options);
    t.after(() => other.stop());
    await publisher.start();
    await other.start();
    const products = Array.from({ length: 50 }, (_, i) => popularity(`p${i}`));
    await write(
      log,
      'popularity.v1',
      'Popularity',
      products.map((product) => [product.product_id, product]),
    );
    await applied('popularity.v1');
    const [rows] = await database.query<{ n: number }>('SELECT count(*) AS n FROM product_popularity');
    assert.equal(rows?.n, products.length);
    const partitions = (from: typeof publisher) =>
      from.positions().filter(({ sink, topic }) => sink === 'features.v1.redis' && topic === 'popularity.v1').length;
    await events.until('shared', () => partitions(publisher) > 0 && partitions(other) > 0);
    assert.equal(partitions(publisher) + partitions(other), await log.partitionCount('popularity.v1'));
  });

  test('installs version 1 once, and refuses another half-life with an explanation', async (t) => {
    const { store, layout, options, publisher, reader } = await running(t);
    await publisher.start();
    await publisher.stop();
    const [row] = await database.query(
      `SELECT version, state, manifest, timeline, seq FROM versions WHERE artefact = 'popularity'`,
    );
    assert.deepEqual(row, {
      ...{ version: 1, state: 'current', manifest: { half_life_ms: 14 * DAY_MS } },
      ...{ timeline: 1, seq: 1 },
    });
    const { version, halfLifeMs } = await reader.currentVersion('affinity');
    assert.deepEqual([version, halfLifeMs], [1, 30 * DAY_MS]);
    const changed = loadSettings({ REDIS_KEY_PREFIX: options.settings.REDIS_KEY_PREFIX, AFFINITY_HALF_LIFE_H: '24' });
    await assert.rejects(createPublisher({ ...options, settings: changed }).start(), (error) => {
      assert.ok(hasCode(error, 'settings'));
      assert.match(String(error), /AFFINITY_HALF_LIFE_H is 24, but version 1 .* 720.*new version/);
      return true;
    });
    // A Postgres of another installation with the same online store.
    await database.execute('TRUNCATE versions, version_heads');
    await assert.rejects(createPublisher({ ...options, settings: changed }).start(), /different installations/);
    assert.equal(await store.get(layout.currentVersion('affinity')), '1');
  });

  test('writes to topic "releases" which versions are current, and with which topics', async (t) => {
    const { log, publisher } = await running(t);
    await publisher.start();
    const found = async (artefact: string) => {
      const batches = await log.reader([{ topic: 'releases', partition: 0, offset: 0 }], { maxWaitMs: 50 }).poll();
      const all = batches.flatMap(({ count, bytes, valueStart, valueEnd }) =>
        Array.from({ length: count }, (_, row) => codec.decode('Release', bytes, valueStart[row]!, valueEnd[row]!)),
      ) as Release[];
      return all.findLast((release) => release.artefact === artefact);
    };
    for (const [artefact, halfLifeMs] of [['popularity', 14 * DAY_MS] as const, ['affinity', 30 * DAY_MS] as const]) {
      await events.until(artefact, async () => (await found(artefact)) !== undefined);
      const release = await found(artefact);
      assert.deepEqual(
        { ...release, manifest: JSON.parse(release!.manifest) },
        {
          ...{ artefact, timeline: 1, seq: 1, current: 1, candidate: null, share: 0, topics: [`${artefact}.v1`] },
          manifest: { half_life_ms: halfLifeMs },
        },
      );
    }
  });

  test('a reader pinned by configuration keeps its version, and reports if it does not exist', async (t) => {
    const { store, layout, options, publisher } = await running(t);
    await publisher.start();
    await installLiveVersion(database, featureSet(2), options.settings, NOON);
    const read = (version: number) =>
      createFeatureReader({
        ...{ store, database, keyPrefix: options.settings.REDIS_KEY_PREFIX, clock: systemClock },
        pinned: { popularity: version },
      }).currentVersion('popularity');
    const { version, halfLifeMs } = await read(2);
    assert.deepEqual([version, halfLifeMs], [2, 14 * DAY_MS]);
    assert.equal(await store.get(layout.currentVersion('popularity')), '1');
    await assert.rejects(read(3), /FEATURE_VERSION_POPULARITY is 3: there is no such version/);
    await database.execute('DROP TABLE product_popularity_v2, user_affinity_v2');
  });

  test('restores a lost pointer', async (t) => {
    const { store, layout, publisher, reader } = await running(t);
    await publisher.start();
    const id = { sink: 'eraser', topic: layout.currentVersion('popularity'), partition: 0 };
    const { epoch } = await store.open(id);
    const batch = { id, epoch, expectedOffset: 0, nextOffset: 1, incarnation: '', at: 0 };
    await store.apply(batch, [
      { op: 'del', key: layout.currentVersion('popularity') },
      { op: 'del', key: layout.versionSettings('popularity', 1) },
      { op: 'del', key: layout.versionSequence('popularity') },
    ]);
    await events.until('healed', async () => (await store.get(layout.currentVersion('popularity'))) === '1');
    assert.equal((await reader.currentVersion('popularity')).halfLifeMs, 14 * DAY_MS);
  });

  test('a second version gets separate tables and waits to be made current', async (t) => {
    const { options } = await running(t);
    await installLiveVersion(database, featureSet(1), options.settings, NOON);
    await installLiveVersion(database, featureSet(2), options.settings, NOON);
    await createLiveTables(database, featureSet(2));
    const states = await database.query('SELECT artefact, version, state FROM versions ORDER BY 1, 2');
    assert.deepEqual(states, [
      { artefact: 'affinity', version: 1, state: 'current' },
      { artefact: 'affinity', version: 2, state: 'staged' },
      { artefact: 'interactions', version: 1, state: 'current' },
      { artefact: 'interactions', version: 2, state: 'staged' },
      { artefact: 'popularity', version: 1, state: 'current' },
      { artefact: 'popularity', version: 2, state: 'staged' },
    ]);
    await database.execute(`INSERT INTO product_popularity_v2 VALUES ('p', 'c', 1, now(), 1, 0, 0)`);
    const inView = async () => (await database.query('SELECT 1 AS one FROM product_popularity')).length;
    assert.equal(await inView(), 0);
    await database.query(`SELECT point_live_view('popularity', 2)`);
    assert.equal(await inView(), 1);
    await database.query(`SELECT point_live_view('popularity', 1)`);
    // No view shows interactions: there is nothing to point, and a switch must not fail because of it.
    await database.query(`SELECT point_live_view('interactions', 2)`);
    await database.execute('DROP TABLE product_popularity_v2, user_affinity_v2');
  });

  test('fills two versions next to each other, and what has no version once', async (t) => {
    const { log, store, options } = await running(t);
    const sets = [featureSet(1), featureSet(2)] as const;
    await applyTopics(log.admin, allTopics({ ...RUNNING_SETS, features: sets }), { kind: log.kind });
    const publisher = createPublisher({ ...options, sets });
    t.after(() => publisher.stop());
    await publisher.start();
    t.after(() => database.execute('DROP TABLE product_popularity_v2, user_affinity_v2'));
    for (const { version, topics } of sets) {
      const row = popularity('a', { score: version, as_of: NOON });
      await write(log, topics.popularity.name, 'Popularity', [['a', row]]);
      await write(log, topics.affinity.name, 'Affinity', [['u', affinity('u', { [`v${version}`]: 1 }, NOON)]]);
    }
    await write(log, 'products', 'Product', [['gone', null]]);
    const written = [...sets.flatMap(({ topics }) => [topics.popularity.name, topics.affinity.name]), 'products'];
    for (const topic of written)
      await publisher.awaitApplied(topic, await endsOf(log, topic), AbortSignal.timeout(20_000));
    const keyPrefix = options.settings.REDIS_KEY_PREFIX;
    const clock = { ...systemClock, now: () => NOON };
    for (const { version, tables } of sets) {
      const pinned = { popularity: version, affinity: version };
      const reader = createFeatureReader({ store, database, keyPrefix, clock, pinned });
      const [best] = (await reader.popular(null, 2)).items;
      near(best?.score, version);
      near((await reader.popularity('a'))?.score, version);
      assert.deepEqual((await reader.affinity('u'))?.scores, { [`v${version}`]: 1 });
      assert.deepEqual(await database.query(`SELECT scores FROM ${tables.affinity}`), [
        { scores: { [`v${version}`]: 1 } },
      ]);
    }
    const readers = publisher.positions().flatMap(({ sink, topic }) => (topic === 'products' ? [sink] : []));
    assert.deepEqual([...new Set(readers)].sort(), ['shared.redis', 'tables.postgres']);
    assert.deepEqual(await store.hgetall(new Layout(keyPrefix).deletedProducts()), new Map([['gone', '1']]));
    const states = await database.query(`SELECT version, state FROM versions WHERE artefact = 'affinity' ORDER BY 1`);
    assert.deepEqual(states, [
      { version: 1, state: 'current' },
      { version: 2, state: 'staged' },
    ]);
  });

  test('I12: starts although the online store is down, and catches up when it is back', async (t) => {
    const { log, store, layout, options, reader } = await running(t);
    const { hold, release, held } = gate(store);
    const publisher = createPublisher({ ...options, store: held });
    t.after(() => publisher.stop());
    hold();
    await publisher.start();
    await write(log, 'popularity.v1', 'Popularity', [['a', popularity('a')]]);
    // Postgres continues independently.
    await events.until('in Postgres', async () => {
      return (await database.query('SELECT 1 AS one FROM product_popularity')).length === 1;
    });
    release();
    const ends = await endsOf(log, 'popularity.v1');
    await publisher.awaitApplied('popularity.v1', ends, AbortSignal.timeout(20_000));
    await events.until('pointer', async () => (await store.get(layout.currentVersion('popularity'))) !== null);
    assert.equal((await reader.popular(null, 5)).items.length, 1);
  });
});

/** A store whose calls fail while it is on hold. */
function gate(store: OnlineStore): { hold: () => void; release: () => void; held: OnlineStore } {
  let isHeld = false;
  const held = new Proxy(store, {
    get(target, property) {
      const value = Reflect.get(target, property, target) as unknown;
      if (typeof value !== 'function') return value;
      return (...parameters: unknown[]) =>
        isHeld
          ? Promise.reject(new FreshetError('connection', 'the online store is down'))
          : (value.apply(target, parameters) as unknown);
    },
  });
  return {
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
    },
    held,
  };
}
