/** The producer, the reader of topics and your own application on the log on disk: no broker, real records. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  avroSchema,
  createApplication,
  createProducer,
  createReader,
  defineKeyedFold,
  type OwnApplication,
  ownTopic,
  type ProducerRecords,
  partitionOf,
  producerTopics,
} from '../../../exports/index.js';
import { servingFixture, tokenEntry, withTokens } from '../../support/serving.js';

type NewEvent = ProducerRecords['events'];

const event = (over: Partial<NewEvent> = {}): NewEvent => ({
  event_id: 'e1',
  user_id: 'ann',
  product_id: 'p1',
  event_type: 'view',
  ts: '2026-01-01T00:00:00Z',
  ...over,
});

let base: string;
let settings: Record<string, string>;
let number = 0;

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'freshet-exports-'));
});
beforeEach(() => {
  settings = { FRESHET_DATA_DIR: join(base, String(number++)), COMMIT_INTERVAL_MS: '5' };
});
after(() => rm(base, { recursive: true, force: true }));

/** The first records of a topic. */
async function first(wanted: number, topic: (typeof producerTopics)['events' | 'products']) {
  const reader = createReader({ settings });
  const found: { key: string; value: unknown; partition: number }[] = [];
  try {
    const signal = AbortSignal.timeout(20_000);
    for await (const { key, value, partition } of reader.records<unknown>(topic, { signal })) {
      found.push({ key, value, partition });
      if (found.length === wanted) break;
    }
    return found;
  } finally {
    await reader.close();
  }
}

describe('createProducer', () => {
  it('fills in omitted fields, accepts times in common forms, and puts keys into their partitions', async () => {
    const producer = await createProducer({ settings });
    await producer.send('events', event());
    await producer.send('events', event({ user_id: 'bob', ts: new Date(5) }));
    assert.equal(await producer.sendAll('events', [event({ user_id: 'cy', ts: 7, category: 'hats' })]), 1);
    await producer.close();
    const found = await first(3, producerTopics.events);
    const full = { event_id: 'e1', product_id: 'p1', category: null, event_type: 'view' };
    assert.deepEqual(
      found.map(({ key, value }) => [key, value]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      [
        ['ann', { ...full, user_id: 'ann', ts: Date.UTC(2026, 0, 1) }],
        ['bob', { ...full, user_id: 'bob', ts: 5 }],
        ['cy', { ...full, user_id: 'cy', ts: 7, category: 'hats' }],
      ],
    );
    for (const { key, partition } of found) assert.equal(partition, partitionOf(4, Buffer.from(key)));
  });

  it('deletes a key, and writes to a topic of your own', async () => {
    const producer = await createProducer({ settings });
    await producer.send('products', { product_id: 'p1', title: 'T', description: 'D', category: 'c' });
    await producer.delete('products', 'p1');
    await assert.rejects(producer.write(ownTopics.visits, 'ann', { page: '/' }), {
      code: 'unknown_topic',
      message: /^Topic visits does not exist: run "freshet topics apply", or start/,
    });
    await producer.close();
    assert.deepEqual(
      (await first(2, producerTopics.products)).map(({ value }) => (value as { title?: string } | null)?.title ?? null),
      ['T', null],
    );
  });

  it('explains what is wrong with a record, before anything is written', async () => {
    const producer = await createProducer({ settings });
    const wrong: [Partial<Record<keyof NewEvent, unknown>>, RegExp][] = [
      [{ event_type: 'look' }, /^events: "event_type" must be view, add_to_cart or purchase \(it is "look"\)/],
      [{ ts: 'yesterday' }, /"ts" must be an ISO 8601 time/],
      [{ ts: new Date(Number.NaN) }, /"ts"/],
      [{ user_id: '' }, /"user_id" must not be empty/],
      [{ user_id: 'x'.repeat(257) }, /at most 256/],
      [{ user_id: undefined }, /"user_id" is missing/],
      [{ colour: 'red' } as never, /"colour" is not a field of an event/],
    ];
    for (const [over, message] of wrong)
      await assert.rejects(producer.send('events', { ...event(), ...over } as NewEvent), {
        code: 'invalid_data',
        message,
      });
    await assert.rejects(producer.delete('products', ''), { code: 'invalid_data' });
    const good = event();
    await assert.rejects(producer.sendAll('events', [good, { ...good, ts: 'x' }]), { code: 'invalid_data' });
    await assert.rejects(producer.send('clicks' as 'events', event()), { code: 'unknown_topic' });
    await producer.close();
    await assert.rejects(producer.send('events', event()), { code: 'unavailable' });
    await producer.close();
  });

  it('reports a data folder held by another process, and invalid settings', async () => {
    const producer = await createProducer({ settings });
    await assert.rejects(createProducer({ settings }), {
      code: 'locked',
      message: new RegExp(`^KAFKA_BROKERS is not set, and the log in .* is held by process ${process.pid}\\.`),
    });
    await producer.close();
    await assert.rejects(createProducer({ settings: { KAFKA_BROKER: 'a:1' } }), { code: 'settings' });
  });
});

const ownTopics = {
  visits: ownTopic<{ page: string }>({
    name: 'visits',
    doc: 'Visits.',
    key: 'user',
    schema: avroSchema({ type: 'record', name: 'Visit', fields: [{ name: 'page', type: 'string' }] }),
    cleanup: 'delete',
    retentionDays: 1,
    owner: 'tests',
  }),
  totals: ownTopic<{ count: number }>({
    name: 'totals.v1',
    doc: 'Totals.',
    key: 'user_id',
    schema: avroSchema({ type: 'record', name: 'Total', fields: [{ name: 'count', type: 'int' }] }),
    cleanup: 'compact',
    owner: 'totals',
  }),
};

const totals = defineKeyedFold({
  name: 'totals',
  input: producerTopics.events,
  output: ownTopics.totals,
  state: ownTopics.totals.schema,
  init: () => ({ count: 0 }),
  fold: ({ count }, { value }) => {
    if (value.product_id === 'poison') throw new Error('it burns');
    return { count: count + 1 };
  },
  emit: (_, total) => total,
});

describe('createApplication', () => {
  it('continues where it stopped, and reports a task that cannot', async () => {
    for (const round of [1, 2]) {
      const producer = await createProducer({ settings });
      await producer.sendAll('events', [event(), event({ user_id: 'bob' })]);
      await producer.close();
      const application = createApplication({ name: 'totals.v1', features: [totals], settings });
      await application.start();
      await committed(application, 2 * round);
      await application.stop();
      await application.stop();
      const reader = createReader({ settings });
      const seen = new Map<string, number>();
      for await (const { key, value } of reader.records(ownTopics.totals, { signal: AbortSignal.timeout(20_000) })) {
        seen.set(key, value!.count);
        if ([...seen.values()].filter((count) => count === round).length === 2) break;
      }
      await reader.close();
      assert.deepEqual([...seen].sort(), [
        ['ann', round],
        ['bob', round],
      ]);
    }
    const producer = await createProducer({ settings });
    await producer.send('events', event({ product_id: 'poison' }));
    await producer.close();
    const application = createApplication({ name: 'totals.v1', features: [totals], settings });
    await application.start();
    const error = await application.failed;
    assert.match(error.message, /^totals cannot fold events\[\d\]@\d+ \(key ann\): it burns$/);
    assert.match(await application.metrics(), /freshet_task_failures_total\{processor="totals",code="internal"\} 1/);
    await application.stop();
  });

  it('needs a unique name, features, and their input', async () => {
    assert.throws(() => createApplication({ name: 'features.v1', features: [totals] }), { code: 'settings' });
    assert.throws(() => createApplication({ name: 'a b', features: [totals] }), { code: 'settings' });
    assert.throws(() => createApplication({ name: 'a', features: [] }), { code: 'settings' });
    const lost = defineKeyedFold({ ...totalsOf(ownTopics.visits), name: 'lost' });
    const application = createApplication({ name: 'lost.v1', features: [lost], settings });
    await assert.rejects(application.start(), {
      code: 'unknown_topic',
      message: 'Topic visits, the input of lost, does not exist.',
    });
  });
});

function totalsOf(input: typeof ownTopics.visits) {
  return {
    input,
    output: ownTopics.totals,
    state: ownTopics.totals.schema,
    init: () => ({ count: 0 }),
    fold: ({ count }: { count: number }) => ({ count: count + 1 }),
    emit: (_: string, total: { count: number }) => total,
  };
}

/** Waits until the tasks have folded and committed this many records of the input. */
async function committed(application: OwnApplication, records: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const lines = (await application.metrics()).matchAll(/^freshet_task_position_offset\{.*\} (\d+)$/gm);
    if ([...lines].reduce((sum, [, position]) => sum + Number(position), 0) === records) return;
    assert.ok(Date.now() < deadline, `not ${records} records committed`);
    await pause(10);
  }
}

describe('createReader', () => {
  it('asks a running Freshet for answers of models', async (t) => {
    const { app } = await servingFixture(t, withTokens([tokenEntry('t', 'reader')]));
    const address = await app.listen({ host: '127.0.0.1', port: 0 });
    const reader = createReader({ settings, serving: { address, token: 't' } });
    const items = [{ product_id: 'p1', score: 0.5 }];
    assert.deepEqual((await reader.getRecommendations('u1')).items, items);
    assert.deepEqual(await reader.search('a lamp', 3), { version: 7, items });
    assert.deepEqual((await reader.getSimilar('p1'))?.items, items);
    await assert.rejects(reader.getSimilar('p1', 1_001), { code: 'invalid_data' });
    await assert.rejects(reader.search(''), { code: 'invalid_data' });
    await reader.close();
    await assert.rejects(reader.search('lamp'), { code: 'unavailable' });
    const stranger = createReader({ settings, serving: { address } });
    await assert.rejects(stranger.search('lamp'), { code: 'access', message: /token is required/ });
    const nowhere = createReader({ settings, serving: { address: 'http://127.0.0.1:1' } });
    await assert.rejects(nowhere.search('lamp'), { code: 'connection' });
    await assert.rejects(createReader({ settings }).search('lamp'), { code: 'settings', message: /serving/ });
  });

  it('says which setting is missing and why', async () => {
    const reader = createReader({ settings });
    await assert.rejects(reader.getPopular(), { code: 'settings', message: /^REDIS_URL is not set/ });
    await assert.rejects(reader.table('popularity'), { code: 'settings', message: /name its version/ });
    await assert.rejects(reader.getPopular({ limit: 0 }), { code: 'invalid_data' });
    await reader.close();
    await reader.close();
    await assert.rejects(reader.getAffinity('ann'), { code: 'unavailable' });
    assert.throws(() => createReader({ settings: { PORT: 'x' } }), { code: 'settings' });
  });

  it('reads a given version, to its end and beyond, until it is closed', async () => {
    const reader = createReader({ settings, version: 1 });
    const table = await reader.table('affinity');
    assert.deepEqual([table.version, table.size, [...table.entries()]], [1, 0, []]);
    const changes = reader.changes('popularity', { from: 'latest' });
    const next = changes.next();
    await reader.close();
    assert.equal(await table.ended, null);
    assert.equal((await next).done, true);
  });
});
