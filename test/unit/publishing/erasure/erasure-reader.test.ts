/** I15: a certificate is issued only when every step before it is done, and says what was checked. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Eraser } from '../../../../ingest/eraser.js';
import type { Certificate, ErasureStatus } from '../../../../publishing/erasure/certificate.js';
import { ErasureReader } from '../../../../publishing/erasure/erasure-reader.js';
import { Layout } from '../../../../publishing/layout.js';
import { rebuildingOf } from '../../../../publishing/live/position-plan.js';
import type { Queryable, SqlValue } from '../../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../../runtime/stores/online-store.js';
import { encodeMarker, MARKER_KEY } from '../../../../runtime/tasks/marker.js';
import type { SchemaName } from '../../../../schemas/codec.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { partitionOf } from '../../../../topics/partition.js';
import type { Subject } from '../../../../topics/subject.js';
import { ManualClock } from '../../../support/manual-clock.js';
import type { MemoryLog } from '../../../support/memory-log.js';
import { affinity, codec, localStore, memoryLog, popularity, write } from '../../../support/publishing.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const PARTITIONS = 2;
const USER: Subject = { kind: 'user', id: 'u1' };
const PRODUCT: Subject = { kind: 'product', id: 'p1' };
const SET = featureSet(1);
const placeOf = (topic: string, id: string) => ({ topic, partition: partitionOf(PARTITIONS, Buffer.from(id)) });

/** Postgres as far as it is queried: positions of sinks, ids in tables, letters. */
class FakeDatabase implements Queryable {
  readonly positions = new Map<string, { next_offset: number; incarnation: string }>();
  readonly rows = new Map<string, Set<string>>();
  letters = 0;

  async query<Row extends object>(sql: string, parameters: readonly SqlValue[] = []): Promise<Row[]> {
    if (sql.includes('dead_letters')) return [{ letters: this.letters } as unknown as Row];
    if (sql.includes('sink_offsets')) {
      const held = this.positions.get(parameters.slice(0, 2).join(' '));
      return held === undefined ? [] : [{ epoch: 1, updated_at: new Date(NOW), ...held } as unknown as Row];
    }
    const table = /FROM (\w+)/.exec(sql)![1]!;
    return this.rows.get(table)?.has(String(parameters[0])) ? [{} as Row] : [];
  }

  execute(): Promise<number> {
    return Promise.reject(new Error('nothing is written'));
  }
}

class Rig {
  readonly log: MemoryLog;
  readonly store: OnlineStore;
  readonly database = new FakeDatabase();
  readonly clock = new ManualClock(NOW);
  readonly #eraser: Eraser;

  constructor(log: MemoryLog, store: OnlineStore) {
    this.log = log;
    this.store = store;
    this.#eraser = new Eraser(log, codec, [SET], 10_000);
  }

  async erase(subject: Subject): Promise<void> {
    await this.#eraser.erase(subject, null, this.clock.now());
  }

  async status(subject: Subject, known = true): Promise<ErasureStatus> {
    const stores = known ? { store: this.store, database: this.database } : { store: null, database: null };
    const rest = { keyPrefix: '', sets: [SET], duplicateHorizonMs: 6 * 3_600_000, changelogIntervalMs: 30_000 };
    const reader = new ErasureReader({ log: this.log, codec, clock: this.clock, ...stores, ...rest });
    return (await reader.status(subject, 0))!;
  }

  async certificate(subject: Subject): Promise<Certificate> {
    const { certificate, waits_for } = await this.status(subject);
    assert.ok(certificate, `waits for ${waits_for.join(', ')}`);
    return certificate;
  }

  async waitsFor(subject: Subject): Promise<readonly string[]> {
    const { state, waits_for, certificate } = await this.status(subject);
    assert.equal(state, waits_for.length === 0 ? 'done' : 'waiting');
    assert.equal(certificate === null, state === 'waiting');
    return waits_for;
  }

  /** The task has folded events of the user's partition below `offset`. */
  async folded(offset: number, over: { oldest_due?: number; restore_from?: number } = {}): Promise<void> {
    const part = { ...placeOf('events', USER.id), offset, clock: NOW, restore_clock: 0, swept_day: 0 };
    const marker = {
      application: 'features.v1',
      task: 0,
      incarnation: 'i',
      fingerprint: 'f',
      sequence: 1,
      parts: [{ ...part, restore_from: 0, oldest_due: offset, ...over }],
      tables: [],
    };
    const topic = 'features.v1.activity-changelog';
    const writer = await this.log.writer([topic]);
    // The task's number does not determine the changelog partition.
    writer.add(topic, MARKER_KEY, encodeMarker(marker, codec), { partition: 1 });
    await writer.flush();
  }

  async features(topic: string, schema: SchemaName, id: string, ...values: (object | null)[]): Promise<void> {
    await write(
      this.log,
      topic,
      schema,
      values.map((value) => [id, value] as const),
    );
  }

  async forgotten(): Promise<void> {
    await this.features('affinity.v1', 'Affinity', USER.id, null);
    await this.features('interactions.v1', 'Interactions', USER.id, null);
  }

  /** All sinks have reached the ends of their topics. */
  async applied(incarnation = ''): Promise<void> {
    for (const [topic, id] of [
      ['affinity.v1', USER.id],
      ['interactions.v1', USER.id],
      ['popularity.v1', PRODUCT.id],
    ] as const) {
      const at = placeOf(topic, id);
      const { lastStable } = await this.log.offsets(at);
      const sink = { sink: 'features.v1.redis', ...at };
      const { epoch, nextOffset } = await this.store.open(sink);
      const batch = { id: sink, epoch, expectedOffset: nextOffset, nextOffset: lastStable, incarnation, at: NOW };
      await this.store.apply(batch, []);
      this.database.positions.set(`features.v1.postgres ${topic}`, { next_offset: lastStable, incarnation });
    }
    for (const [topic, id] of [
      ['users', USER.id],
      ['products', PRODUCT.id],
    ] as const) {
      const { lastStable } = await this.log.offsets(placeOf(topic, id));
      this.database.positions.set(`tables.postgres ${topic}`, { next_offset: lastStable, incarnation });
    }
  }
}

async function rigOf(t: TestContext): Promise<Rig> {
  const log = await memoryLog(PARTITIONS);
  log.now = () => NOW;
  return new Rig(log, await localStore(t));
}

const interactions = (as_of: number) => ({ user_id: USER.id, as_of, items: [], truncated: 0 });

describe('an erasure of a user', () => {
  it('waits step by step', async (t) => {
    const rig = await rigOf(t);
    await rig.features('events', 'Affinity', USER.id, affinity(USER.id, {}), affinity(USER.id, {}));
    await rig.erase(USER);
    assert.deepEqual(await rig.waitsFor(USER), [
      'a task of version 1 to erase the user',
      'the database to apply topic users',
    ]);
    await rig.folded(2);
    assert.equal((await rig.waitsFor(USER))[0], 'a task of version 1 to erase the user', 'the cut is offset 2');
    await rig.features('affinity.v1', 'Affinity', USER.id, null);
    await rig.folded(3, { oldest_due: 1 });
    assert.deepEqual(await rig.waitsFor(USER), [
      'topic interactions.v1 to show the deletion',
      'the online store to apply topic affinity.v1',
      'the database to apply topic affinity.v1',
      'the database to apply topic users',
    ]);
    await rig.features('interactions.v1', 'Interactions', USER.id, null);
    await rig.applied(rebuildingOf(''));
    assert.equal((await rig.waitsFor(USER)).length, 4, 'a store being rebuilt may still show earlier rows');
    await rig.applied();
    const { cut, certificate } = await rig.status(USER);
    assert.deepEqual(cut, { ...placeOf('events', USER.id), offset: 2, at: new Date(NOW).toISOString() });
    assert.equal(certificate!.gone.length, 8);
    assert.ok(certificate!.gone.every(({ left }) => left === 'nothing'));
  });

  it('is not done while earlier interactions are the newest', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(USER);
    // Written between the cut and its fold; the deletion waits behind others.
    await rig.features('affinity.v1', 'Affinity', USER.id, null);
    await rig.features('interactions.v1', 'Interactions', USER.id, interactions(NOW));
    await rig.folded(1, { oldest_due: 0 });
    await rig.applied();
    assert.deepEqual(await rig.waitsFor(USER), ['topic interactions.v1 to show the deletion']);
    await rig.features('interactions.v1', 'Interactions', USER.id, null);
    assert.deepEqual(await rig.waitsFor(USER), ['the online store to apply topic interactions.v1']);
    await rig.applied();
    assert.deepEqual(await rig.waitsFor(USER), []);
  });

  it('reports what is left of a user who keeps buying: only what came after the cut', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(USER);
    await rig.features('affinity.v1', 'Affinity', USER.id, affinity(USER.id, { hats: 1 }));
    await rig.features('interactions.v1', 'Interactions', USER.id, interactions(NOW));
    await rig.folded(5, { oldest_due: 0 });
    await rig.applied();
    rig.database.rows.set('user_affinity_v1', new Set([USER.id]));
    const { gone } = await rig.certificate(USER);
    const left = new Map(gone.map((entry) => [`${entry.where} ${entry.topic}`, entry.left]));
    assert.equal(left.get('database affinity.v1'), 'only what came after the cut');
    assert.equal(left.get('log interactions.v1'), 'only what came after the cut');
    assert.equal(left.get('online store interactions.v1'), 'nothing');
    assert.equal(left.get('task events'), 'only what came after the cut');
    assert.equal(left.get('log users'), 'nothing');
  });

  it('stays done while newer records of a user who keeps buying are on their way to the stores', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(USER);
    await rig.forgotten();
    await rig.folded(5);
    await rig.applied();
    assert.deepEqual(await rig.waitsFor(USER), []);
    await rig.features('affinity.v1', 'Affinity', USER.id, affinity(USER.id, { hats: 1 }));
    await rig.features('interactions.v1', 'Interactions', USER.id, interactions(NOW));
    assert.deepEqual(await rig.waitsFor(USER), []);
  });

  it('has a separate cut each time', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(USER);
    await rig.folded(1);
    await rig.forgotten();
    await rig.applied();
    assert.deepEqual(await rig.waitsFor(USER), []);
    await rig.features('events', 'Affinity', USER.id, affinity(USER.id, {}));
    await rig.erase(USER);
    const { cut, waits_for } = await rig.status(USER);
    // After the first cut, the end of its transaction, and the event.
    assert.equal(cut!.offset, 3);
    assert.equal(waits_for[0], 'a task of version 1 to erase the user');
  });

  it('is determined from what is left of the log: the cut may have expired, deletions may be compacted away', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(USER);
    await rig.forgotten();
    await rig.folded(9);
    await rig.applied();
    rig.clock.advance(101 * 86_400_000);
    rig.log.truncate(placeOf('events', USER.id), 1);
    for (const topic of ['users', 'affinity.v1', 'interactions.v1']) rig.log.compact(topic, { dropTombstones: true });
    const status = await rig.status(USER);
    assert.deepEqual(status.waits_for, []);
    assert.equal(status.cut, null);
  });

  it('names what it could not check, what expires, and when', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(USER);
    await rig.forgotten();
    await rig.folded(1, { restore_from: 1 });
    const blind = (await rig.status(USER, false)).certificate!;
    assert.deepEqual(
      blind.not_checked.map((what) => what.split(':')[0]),
      ['the online store', 'the database'],
    );
    assert.ok(!blind.gone.some(({ where }) => where === 'database' || where === 'online store'));
    await rig.applied();
    rig.database.letters = 2;
    const { expires, not_checked } = await rig.certificate(USER);
    assert.deepEqual(not_checked, []);
    const of = (what: string) => expires.find((expiring) => expiring.what === what)!;
    assert.equal(of('raw events').until, new Date(NOW + 100 * 86_400_000).toISOString());
    assert.match(of('dead letters of unreadable events').rule, /30 days.*2 rows of dead_letters stay/);
    assert.match(of('rows per day of the user').rule, /^null values are written/);
    assert.match(of('factors of the user in models built before').rule, /24 hours after another/);
    assert.equal(of('hashes of event ids').until, new Date(NOW + 6 * 3_600_000).toISOString());
    assert.equal(of('local checkpoints of tasks').until, new Date(NOW + 6 * 86_400_000).toISOString());
  });
});

describe('an erasure of a product', () => {
  it('waits until no list shows it', async (t) => {
    const rig = await rigOf(t);
    await rig.features('popularity.v1', 'Popularity', PRODUCT.id, popularity(PRODUCT.id));
    await rig.erase(PRODUCT);
    assert.deepEqual(await rig.waitsFor(PRODUCT), [
      'topic popularity.v1 to show the deletion',
      'the database to apply topic products',
    ]);
    await rig.features('popularity.v1', 'Popularity', PRODUCT.id, null);
    assert.equal((await rig.waitsFor(PRODUCT)).length, 3);
    await rig.applied();
    const { gone, stays } = await rig.certificate(PRODUCT);
    assert.deepEqual(
      gone.map(({ where, topic, left }) => `${where} ${topic} ${left}`),
      [
        'log products nothing',
        'log popularity.v1 nothing',
        'online store popularity.v1 nothing',
        'database popularity.v1 nothing',
        'database products nothing',
      ],
    );
    assert.match(stays.join(), /affinity.*the id alone, among the deleted products/);
  });

  it('is not completed by a deletion that appears between two reads of the log', async (t) => {
    const rig = await rigOf(t);
    await rig.features('popularity.v1', 'Popularity', PRODUCT.id, popularity(PRODUCT.id));
    await rig.applied();
    await rig.erase(PRODUCT);
    await rig.applied();
    const { offsets } = rig.log;
    let looks = 0;
    rig.log.offsets = async (at) => {
      if (at.topic === 'popularity.v1' && ++looks === 2)
        await rig.features('popularity.v1', 'Popularity', PRODUCT.id, null);
      return await offsets.call(rig.log, at);
    };
    assert.deepEqual(await rig.waitsFor(PRODUCT), ['topic popularity.v1 to show the deletion']);
    assert.ok(looks >= 2);
    assert.deepEqual(await rig.waitsFor(PRODUCT), [
      'the online store to apply topic popularity.v1',
      'the database to apply topic popularity.v1',
    ]);
  });

  it('waits for nothing where the product had no row, and not for a row that returned', async (t) => {
    const rig = await rigOf(t);
    await rig.erase(PRODUCT);
    await rig.applied();
    assert.deepEqual(await rig.waitsFor(PRODUCT), []);
    const product = { product_id: PRODUCT.id, title: '', description: '', category: 'c', price: null, updated_at: NOW };
    await rig.features('products', 'Product', PRODUCT.id, product);
    await rig.features('popularity.v1', 'Popularity', PRODUCT.id, popularity(PRODUCT.id));
    await rig.applied();
    const epoch = (await rig.store.open({ sink: 'test', topic: 't', partition: 0 })).epoch;
    await rig.store.apply(
      {
        id: { sink: 'test', topic: 't', partition: 0 },
        epoch,
        expectedOffset: 0,
        nextOffset: 1,
        incarnation: '',
        at: NOW,
      },
      [{ op: 'zadd', key: new Layout().features(SET).popularityAll, member: PRODUCT.id, score: 1 }],
    );
    const { gone } = await rig.certificate(PRODUCT);
    const online = gone.find(({ where }) => where === 'online store')!;
    assert.equal(online.left, 'only what came after the cut');
  });
});

it('without a request there is no status', async (t) => {
  const rig = await rigOf(t);
  await rig.erase(USER);
  assert.equal(await rig.status({ kind: 'user', id: 'u2' }), null);
  assert.equal(await rig.status({ kind: 'product', id: USER.id }), null);
});
