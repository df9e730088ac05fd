/** Sinks on a real Kafka: transactions with their control records, members that come and go. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { Layout } from '../../publishing/layout.js';
import { popularityOnline } from '../../publishing/sinks/popularity.js';
import { onlineSinkStore } from '../../publishing/sinks/sink-store.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Popularity } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { codec, HALF_LIFE_MS, localStore, popularity, rig, TroubledStore, write } from '../support/publishing.js';
import { Random } from '../support/random.js';
import { kafkaOrReason } from '../support/services/kafka.js';

const PARTITIONS = 3;
const SET = featureSet(1);
const layout = new Layout();

const { kafka, skip } = await kafkaOrReason();

describe('a sink on Kafka', { skip }, () => {
  let log: Log;

  before(async () => {
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: kafka?.brokers }), silentLogger);
  });
  after(async () => {
    await log?.close();
    await kafka?.stop();
  });

  async function running(t: TestContext) {
    const run = randomBytes(4).toString('hex');
    const topic = `publishing-${run}`;
    const config = { name: topic, partitions: PARTITIONS, cleanup: 'compact', retentionMs: -1 } as const;
    await log.admin.createTopic({ ...config, logAppendTime: false, settings: {} });
    const store = await localStore(t);
    const declared = popularityOnline(SET, layout, HALF_LIFE_MS);
    const troubled = new TroubledStore(onlineSinkStore(store, declared));
    const sink = { topic: { ...declared.topic, name: topic }, store: troubled, forgetsUnseen: true };
    const member = () => rig(t, log, [sink], { sink: `publishing-${run}` });
    return { topic, store, troubled, member };
  }

  async function shown(store: Awaited<ReturnType<typeof localStore>>): Promise<string[]> {
    return (await store.ztop(layout.features(SET).popularityAll, 10_000)).map(({ member }) => member).sort();
  }

  test('applies what transactions committed, and moves past their control records', async (t) => {
    const { topic, store, member } = await running(t);
    const { materialiser, caughtUp } = member();
    await materialiser.start();
    const remaining = new Map<string, Popularity>();
    const random = new Random(51);
    const writer = await log.transactionalWriter(`${topic}-writer`, [topic]);
    await writer.init();
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 40; i++) {
        const id = `p${random.below(60)}`;
        const value = random.unit() < 0.2 ? null : popularity(id);
        writer.add(topic, Buffer.from(id), value && codec.encode('Popularity', value));
        if (value === null) remaining.delete(id);
        else remaining.set(id, value);
      }
      await writer.commit();
    }
    await writer.close();
    await caughtUp();
    assert.deepEqual(await shown(store), [...remaining.keys()].sort());
  });

  test('is distributed among members, and continues where one left', async (t) => {
    const { topic, store, troubled, member } = await running(t);
    const [one, two] = [member(), member()];
    await one.materialiser.start();
    await one.caughtUp();
    await two.materialiser.start();
    await one.events.until('shared', () => {
      const counts = [one.materialiser.positions().length, two.materialiser.positions().length];
      return counts.every((count) => count > 0) && counts[0]! + counts[1]! === PARTITIONS;
    });
    const values = Array.from({ length: 200 }, (_, i) => popularity(`p${i}`));
    await write(
      log,
      topic,
      'Popularity',
      values.map((value) => [value.product_id, value]),
    );
    await one.materialiser.stop();
    await write(log, topic, 'Popularity', [['p0', null]]);
    await two.caughtUp();
    assert.deepEqual(
      await shown(store),
      values
        .slice(1)
        .map(({ product_id }) => product_id)
        .sort(),
    );
    const ends = new Map<number, number>();
    for (const { id, expectedOffset, nextOffset } of troubled.applied) {
      if (expectedOffset !== 0) assert.equal(expectedOffset, ends.get(id.partition));
      ends.set(id.partition, nextOffset);
    }
  });

  test('that was fenced takes over its partition again once the group has confirmed it', async (t) => {
    const { topic, store, troubled, member } = await running(t);
    const { materialiser, caughtUp, events } = member();
    await materialiser.start();
    await caughtUp();
    const id = { sink: topic, topic, partition: 0 };
    const { epoch } = await troubled.inner.open(id);
    await events.until('taken over again', async () => {
      const held = await store.position(id);
      return held!.epoch > epoch && materialiser.positions().length === PARTITIONS;
    });
    await write(log, topic, 'Popularity', [['p', popularity('p')]]);
    await caughtUp();
    assert.deepEqual(await shown(store), ['p']);
  });
});
