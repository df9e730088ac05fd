/** Sinks into a real Postgres: the gate, the rows, and what happens when connections or rows are lost. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test';
import type { GroupSink } from '../../publishing/live/materialise.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { affinityRows } from '../../publishing/sinks/affinity.js';
import type { TableSink } from '../../publishing/sinks/declaration.js';
import { popularityRows } from '../../publishing/sinks/popularity.js';
import { tableSinkStore } from '../../publishing/sinks/table-sink-store.js';
import { catalogueRows, deadLetterRows, userRows } from '../../publishing/sinks/tables.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import type { FencedBatch } from '../../runtime/stores/online-store.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import type { Popularity } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { partitionOf } from '../../topics/partition.js';
import {
  affinity,
  deadLettersIn,
  memoryLog,
  PACE,
  popularity,
  rig,
  TroubledStore,
  write,
} from '../support/publishing.js';
import { Random } from '../support/random.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const TOPIC = 'popularity.v1';
const PARTITIONS = 3;
const SET = featureSet(1);
const T0 = Date.UTC(2026, 5, 1, 12, 30, 15, 123);
const ID = { sink: 's', topic: TOPIC, partition: 0 };

describe('Postgres', () => {
  let service: Service;
  let database: Database;

  before(async () => {
    service = await startPostgres();
    database = await openPostgres({ url: service.url }, silentLogger);
    await migrateUp(database);
  });
  after(async () => {
    await database?.close();
    await service?.stop();
  });
  beforeEach(async () => {
    await database.execute(
      'TRUNCATE product_popularity_v1, user_affinity_v1, catalogue, users, dead_letters, sink_offsets',
    );
  });

  const sinkOf = <Value>(declared: TableSink<Value>, from = database): { sink: GroupSink; troubled: TroubledStore } => {
    const troubled = new TroubledStore(tableSinkStore(from, declared));
    return { sink: { topic: declared.topic, store: troubled, forgetsUnseen: declared.forgetsUnseen }, troubled };
  };

  const rows = () =>
    database.query<{ product_id: string; category: string; score: number; as_of: Date; views: number }>(
      'SELECT product_id, category, score, as_of, views FROM product_popularity ORDER BY product_id',
    );

  describe('I5: gate', () => {
    const batch = (over: Partial<FencedBatch>): FencedBatch => ({
      ...{ id: ID, epoch: 1, expectedOffset: 0, nextOffset: 5, incarnation: 'i', at: T0 },
      ...over,
    });
    const change = (key: string, score: number) => ({ key, value: popularity(key, { score, as_of: T0 }) });

    test('lets a batch through once, with its rows and its offset', async () => {
      const store = tableSinkStore(database, popularityRows(SET));
      assert.equal(await store.position(ID), null);
      assert.deepEqual(await store.open(ID), { epoch: 1, nextOffset: 0, updatedAt: 0, incarnation: '' });
      assert.equal(await store.apply(batch({}), [change('b', 2), change('a', 0.1)]), 'applied');
      assert.deepEqual(await store.position(ID), { epoch: 1, nextOffset: 5, updatedAt: T0, incarnation: 'i' });
      assert.deepEqual(
        (await rows()).map(({ product_id, score, as_of }) => [product_id, score, as_of.getTime()]),
        [
          ['a', 0.1, T0],
          ['b', 2, T0],
        ],
      );
      assert.equal(await store.apply(batch({}), [change('a', 99)]), 'offset_mismatch');
      assert.equal((await rows())[0]?.score, 0.1);
    });

    test('rejects another offset, an older epoch, and every batch if there is no row', async () => {
      const store = tableSinkStore(database, popularityRows(SET));
      assert.equal(await store.apply(batch({}), [change('a', 1)]), 'fenced');
      await store.open(ID);
      assert.equal(await store.apply(batch({ expectedOffset: 3 }), [change('a', 1)]), 'offset_mismatch');
      assert.equal((await store.open(ID)).epoch, 2);
      assert.equal(await store.apply(batch({ epoch: 1 }), [change('a', 1)]), 'fenced');
      assert.equal(await store.rewind(ID, 1), false);
      assert.deepEqual(await rows(), []);
      assert.equal(await store.apply(batch({ epoch: 2 }), [change('a', 1)]), 'applied');
      assert.equal(await store.rewind(ID, 2), true);
      assert.deepEqual(await store.position(ID), { epoch: 2, nextOffset: 0, updatedAt: 0, incarnation: '' });
    });

    test('writes and deletes in one statement, and nothing at all for an empty batch', async () => {
      const store = tableSinkStore(database, popularityRows(SET));
      await store.open(ID);
      await store.apply(batch({}), [change('a', 1), change('b', 1)]);
      const next = batch({ expectedOffset: 5, nextOffset: 9 });
      const changes = [{ key: 'a', value: null }, change('c', 3), { key: 'unknown', value: null }];
      assert.equal(await store.apply(next, changes), 'applied');
      assert.deepEqual([...(await store.keys())].sort(), ['b', 'c']);
      assert.equal(await store.apply(batch({ expectedOffset: 9, nextOffset: 9, at: T0 + 1 }), []), 'applied');
      assert.equal((await store.position(ID))?.updatedAt, T0 + 1);
    });

    test('lets one of two rivals through', async () => {
      const store = tableSinkStore(database, popularityRows(SET));
      await store.open(ID);
      const many = (score: number) => Array.from({ length: 500 }, (_, i) => change(`p${i}`, score));
      const results = await Promise.all([store.apply(batch({}), many(1)), store.apply(batch({}), many(2))]);
      assert.deepEqual(results.sort(), ['applied', 'offset_mismatch']);
      const scores = new Set((await rows()).map(({ score }) => score));
      assert.equal(scores.size, 1);
    });
  });

  describe('rows', () => {
    test('match the topics, in every table and view', async (t) => {
      const log = await memoryLog(PARTITIONS);
      const declared = [popularityRows(SET), affinityRows(SET), catalogueRows, userRows, deadLetterRows];
      const { materialiser, caughtUp } = rig(
        t,
        log,
        declared.map((each) => sinkOf(each as TableSink<unknown>).sink),
      );
      await materialiser.start();
      const product = { product_id: 'p1', title: 'Ünïcode "quoted" {braces}', description: 'a\\b,\nc', category: 'x' };
      await write(log, 'products', 'Product', [
        ['p1', { ...product, price: 9.95, updated_at: T0 }],
        ['p2', { ...product, product_id: 'p2', title: 'NULL', description: '', price: null, updated_at: 0 }],
        ['p3', { ...product, product_id: 'p3', price: 1, updated_at: 0 }],
        ['p3', null],
      ]);
      const score = 0.1 + 0.2;
      await write(log, TOPIC, 'Popularity', [['p1', popularity('p1', { score, as_of: T0, views: 2 ** 52 })]]);
      await write(log, 'affinity.v1', 'Affinity', [['u1', affinity('u1', { 'a"b': 1 / 3, c: 2 / 3 }, T0)]]);
      await write(log, 'users', 'User', [
        ['u1', { user_id: 'u1', tenant_id: 't', active: true, updated_at: T0 }],
        ['u2', { user_id: 'u2', tenant_id: 't', active: false, updated_at: T0 }],
      ]);
      await write(log, 'users', 'User', [['u3', Buffer.from('poison')]]);
      await caughtUp();
      await caughtUp();
      assert.deepEqual(await database.query('SELECT * FROM products ORDER BY product_id'), [
        {
          ...product,
          price: 9.95,
          updated_at: new Date(T0),
          popularity_score: score,
          popularity_as_of: new Date(T0),
        },
        {
          ...{ ...product, product_id: 'p2', title: 'NULL', description: '', price: null, updated_at: new Date(0) },
          ...{ popularity_score: null, popularity_as_of: null },
        },
      ]);
      assert.equal((await rows())[0]?.views, 2 ** 52);
      assert.deepEqual(await database.query('SELECT * FROM user_category_affinity ORDER BY category'), [
        { user_id: 'u1', category: 'a"b', score: 1 / 3, as_of: new Date(T0) },
        { user_id: 'u1', category: 'c', score: 2 / 3, as_of: new Date(T0) },
      ]);
      assert.deepEqual(await database.query('SELECT * FROM users ORDER BY user_id'), [
        { user_id: 'u1', tenant_id: 't', active: true, updated_at: new Date(T0) },
        { user_id: 'u2', tenant_id: 't', active: false, updated_at: new Date(T0) },
      ]);
      const [letter] = await deadLettersIn(log);
      const [row] = await database.query<{ source: object; input: Buffer; created_at: Date }>(
        'SELECT * FROM dead_letters',
      );
      assert.deepEqual(
        { ...row },
        {
          ...letter,
          source: { ...letter?.source },
          created_at: new Date(letter!.created_at),
        },
      );
    });

    test('of one key in one window are a single write', async (t) => {
      const log = await memoryLog(1);
      const { sink, troubled } = sinkOf(popularityRows(SET));
      const pace = { ...PACE, rowsMax: 5_000, lingerMs: 100, checkMs: 1_000 };
      const { materialiser, caughtUp } = rig(t, log, [sink], { pace });
      await materialiser.start();
      await caughtUp();
      const before = troubled.applied.length;
      for (let i = 1; i <= 50; i++) await write(log, TOPIC, 'Popularity', [['p', popularity('p', { score: i })]]);
      await caughtUp();
      const batches = troubled.applied.slice(before);
      assert.ok(batches.length <= 5, `${batches.length} statements for 50 records of one key`);
      assert.deepEqual(
        (await rows()).map(({ score }) => score),
        [50],
      );
    });
  });

  describe('a sink', () => {
    async function running(t: TestContext, from = database) {
      const log = await memoryLog(PARTITIONS);
      const { sink, troubled } = sinkOf(popularityRows(SET), from);
      return { log, sink, troubled, ...rig(t, log, [sink]) };
    }

    function some(random: Random, count: number, remaining: Map<string, Popularity>): [string, Popularity | null][] {
      return Array.from({ length: count }, () => {
        const id = `p${random.below(50)}`;
        const value = random.unit() < 0.2 ? null : popularity(id, { score: random.unit(), as_of: T0 });
        if (value === null) remaining.delete(id);
        else remaining.set(id, value);
        return [id, value];
      });
    }

    async function assertRows(remaining: ReadonlyMap<string, Popularity>): Promise<void> {
      const found = (await rows()).map(({ product_id, score }) => [product_id, score]);
      const wanted = [...remaining.values()].map(({ product_id, score }) => [product_id, score]);
      assert.deepEqual(found.sort(), wanted.sort());
    }

    test('fills the table again if its position was lost', async (t) => {
      const { log, materialiser, caughtUp, events } = await running(t);
      const remaining = new Map<string, Popularity>();
      await write(log, TOPIC, 'Popularity', some(new Random(32), 100, remaining));
      await materialiser.start();
      await caughtUp();
      await database.transaction(async (connection) => {
        await connection.execute('DELETE FROM product_popularity_v1');
        await connection.execute('INSERT INTO product_popularity_v1 SELECT $1, $2, 1, now(), 1, 1, 1', [
          'ghost',
          'of another life',
        ]);
        await connection.execute('DELETE FROM sink_offsets');
      });
      await events.until('rebuilt', async () => {
        const found = await rows();
        return found.length === remaining.size && !found.some(({ product_id }) => product_id === 'ghost');
      });
      await assertRows(remaining);
    });

    test('is not stopped by a record of another partition, and reports it', async (t) => {
      const { log, materialiser, caughtUp } = await running(t);
      const wrong = (partitionOf(PARTITIONS, Buffer.from('p')) + 1) % PARTITIONS;
      const writer = await log.writer([TOPIC]);
      writer.add(TOPIC, Buffer.from('p'), null, { partition: wrong });
      await writer.flush();
      const value = popularity('q', { as_of: T0 });
      await write(log, TOPIC, 'Popularity', [['q', value]]);
      await materialiser.start();
      await caughtUp();
      await assertRows(new Map([['q', value]]));
      assert.deepEqual(
        (await deadLettersIn(log)).map(({ reason_code }) => reason_code),
        ['wrong_partition'],
      );
    });
  });
});
