/**
 * The exports on real Kafka and Redis: the registry's framing, readers that switch to the next version, and an
 * application that goes on behind a record that was given up.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  avroSchema,
  createApplication,
  createProducer,
  createReader,
  defineKeyedFold,
  ownTopic,
  type Popularity,
  producerTopics,
  typedFeatureTopics,
} from '../../exports/index.js';
import { openSkips } from '../../ingest/skips.js';
import { Layout } from '../../publishing/layout.js';
import { systemClock } from '../../runtime/process/clock.js';
import { messageOf } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import { ValueCodec } from '../../schemas/value-codec.js';
import { applyTopics } from '../../topics/apply.js';
import { skips as skipsTopic } from '../../topics/events.js';
import { type BrokerPlace, openBroker, openRedisStore, type RedisPlace } from '../bench/places.js';
import { startTestRegistry, type TestRegistry } from '../support/registry.js';
import { isRequired } from '../support/services/service.js';

const PREFIX = `exports-${process.pid}:`;
const layout = new Layout(PREFIX);
const v1 = typedFeatureTopics(1).popularity;
const v2 = typedFeatureTopics(2).popularity;
const DEADLINE_MS = 30_000;

async function open(): Promise<{ broker: BrokerPlace; redis: RedisPlace } | string> {
  let broker: BrokerPlace | null = null;
  try {
    broker = await openBroker();
    return { broker, redis: await openRedisStore() };
  } catch (error) {
    await broker?.close();
    if (isRequired('kafka')) throw error;
    return messageOf(error);
  }
}

const found = await open();

describe('exports on Kafka', { skip: typeof found === 'string' && found }, () => {
  const { broker, redis } = found as Exclude<typeof found, string>;
  let registry: TestRegistry;
  let settings: Record<string, string>;
  let switches = 0;

  before(async () => {
    registry = await startTestRegistry();
    settings = { KAFKA_BROKERS: broker.brokers, REDIS_URL: redis.url, REDIS_KEY_PREFIX: PREFIX };
    const topics = [...Object.values(producerTopics), skipsTopic, v1, v2];
    await applyTopics(broker.log.admin, topics, { kind: 'kafka', partitions: 2 });
  });

  after(async () => {
    await registry.close();
    await redis.close();
    await broker.close();
  });

  /** Marks this version as current in Redis from now on. */
  async function makeCurrent(version: number): Promise<void> {
    const id = { sink: `${PREFIX}versions`, topic: 'popularity', partition: 0 };
    const { epoch, nextOffset } = await redis.store.open(id);
    const batch = { id, epoch, expectedOffset: nextOffset, nextOffset: ++switches, incarnation: '', at: Date.now() };
    const told = layout.versionSettings('popularity', version);
    await redis.store.apply(batch, [
      { op: 'set', key: told, value: JSON.stringify({ half_life_ms: 86_400_000 }) },
      { op: 'set', key: layout.currentVersion('popularity'), value: String(version) },
    ]);
  }

  /** null deletes. */
  async function write(topic: typeof v1, rows: Readonly<Record<string, number | null>>): Promise<void> {
    const codec = new ValueCodec<Popularity>(topic.schema);
    const writer = await broker.log.writer([topic.name]);
    const counts = { category: 'c', as_of: 1, views: 1, add_to_carts: 0, purchases: 0 };
    for (const [product_id, score] of Object.entries(rows))
      writer.add(
        topic.name,
        Buffer.from(product_id),
        score === null ? null : codec.encode({ product_id, score, ...counts }),
      );
    await writer.flush();
    await writer.close();
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    while (!holds()) {
      assert.ok(Date.now() < deadline, `not ${what} in time`);
      await pause(20);
    }
  }

  it('producer: registers only the schema of its topic, and writes in its framing', async () => {
    const producer = await createProducer({ settings: { ...settings, SCHEMA_REGISTRY_URL: registry.url } });
    const event = { event_id: 'e', user_id: 'ann', product_id: 'p', event_type: 'view' as const, ts: 1 };
    await Promise.all(Array.from({ length: 50 }, (_, i) => producer.send('events', { ...event, event_id: `e${i}` })));
    await producer.close();
    const written = registry.requests.filter((request) => request.startsWith('POST') && request.endsWith('/versions'));
    assert.deepEqual(written, ['POST /subjects/events-value/versions']);

    const plain = createReader({ settings });
    await assert.rejects(plain.records(producerTopics.events).next(), { code: 'schema', message: /needs a registry/ });
    await plain.close();
    const reader = createReader({ settings: { ...settings, SCHEMA_REGISTRY_URL: registry.url } });
    const ids = new Set<string>();
    for await (const { value } of reader.records(producerTopics.events)) {
      ids.add(value!.event_id);
      if (ids.size === 50) break;
    }
    await reader.close();
  });

  it('producer: a registry that is down, or refuses, is reported in a sentence', async () => {
    registry.failWith(503);
    const producer = await createProducer({ settings: { ...settings, SCHEMA_REGISTRY_URL: registry.url } });
    const user = { user_id: 'ann', tenant_id: 't' };
    await assert.rejects(producer.send('users', user), { code: 'connection', message: /cannot be reached/ });
    registry.failWith(null);
    await producer.send('users', user);
    await producer.close();
  });

  it('application: goes on behind a record that was given up, without a restart', async () => {
    const own = { ...settings, SCHEMA_REGISTRY_URL: registry.url, COMMIT_INTERVAL_MS: '10' };
    const schema = avroSchema<{ count: number }>({
      type: 'record',
      name: 'Clicks',
      fields: [{ name: 'count', type: 'int' }],
    });
    const name = `clicks-${process.pid}`;
    const output = ownTopic({ name, doc: 'Clicks.', key: 'user_id', schema, cleanup: 'compact', owner: 'tests' });
    const clicks = defineKeyedFold({
      name: 'clicks',
      input: producerTopics.events,
      output,
      state: schema,
      init: () => ({ count: 0 }),
      fold: ({ count }, { value }) => {
        if (value.event_id === 'poison') throw new Error('it burns');
        return { count: count + 1 };
      },
      emit: (_, state) => state,
    });
    const event = { user_id: name, product_id: 'p', event_type: 'view' as const, ts: 1 };
    const producer = await createProducer({ settings: own });
    for (const event_id of ['before', 'poison', 'after']) await producer.send('events', { ...event, event_id });
    await producer.close();

    const application = createApplication({ name: `${name}.v1`, features: [clicks], settings: own });
    await application.start();
    const { message } = await application.failed;
    const [, partition, offset] = /cannot fold events\[(\d)\]@(\d+) .*: it burns$/.exec(message)!.map(Number);
    const { skips } = await openSkips({
      ...{ log: broker.log, codec: new Codec(), logger: silentLogger, clock: systemClock },
    });
    const given = { topic: 'events', partition: partition!, from: offset!, to: offset! + 1, reason: 'a test' };
    await skips.request(given, { by: 'operator', at: Date.now() });
    await skips.stop();

    const reader = createReader({ settings: own });
    let count = 0;
    for await (const { key, value } of reader.records(output, { signal: AbortSignal.timeout(DEADLINE_MS) })) {
      if (key === name) count = value!.count;
      if (count === 2) break;
    }
    assert.equal(count, 2, 'before and after');
    await reader.close();
    await application.stop();
  });

  it('reader: a table and its changes switch to the next version once it is current', async () => {
    const reader = createReader({ settings });
    await assert.rejects(reader.table('popularity'), { code: 'unavailable' });
    await write(v1, { a: 1, b: 2, gone: 3 });
    await write(v1, { gone: null });
    await write(v2, { a: 10, c: 30 });
    await makeCurrent(1);
    const table = await reader.table('popularity');
    const scores = () => [...table.entries()].map(([key, { score }]) => `${key}=${score}`).sort();
    assert.deepEqual([table.version, scores()], [1, ['a=1', 'b=2']]);

    const ending = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { key, value, version } of reader.changes('popularity', { signal: ending.signal }))
        seen.push(`v${version} ${key}=${value?.score ?? 'gone'}`);
    })();
    await until('v1 read', () => seen.includes('v1 b=2') && seen.includes('v1 gone=gone'));
    await write(v1, { b: 4 });
    await until('current', () => table.get('b')?.score === 4 && seen.includes('v1 b=4'));

    await makeCurrent(2);
    await until('switched', () => table.version === 2 && seen.includes('v2 c=30'));
    assert.deepEqual(scores(), ['a=10', 'c=30'], 'all of the next version, and nothing of the previous one');
    await write(v2, { a: null });
    await write(v1, { b: 5 });
    await until('current in v2', () => table.get('a') === undefined && seen.includes('v2 a=gone'));
    assert.ok(!seen.includes('v1 b=5'), 'no reader follows the previous version any more');

    await makeCurrent(1);
    await until('rolled back', () => table.version === 1 && table.get('b')?.score === 5);
    ending.abort();
    await following;
    await reader.close();
    assert.equal(await table.ended, null);
  });
});
