/**
 * I2: compacted topics on a real broker: missing offsets, emptied batches, and at the end only aborted transactions and
 * their control records. Readers reach the end from any starting point, and tasks restore.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { loadSettings } from '../../assembly/settings.js';
import { Cluster } from '../../runtime/log/kafka/client/cluster.js';
import { connectionOptions } from '../../runtime/log/kafka/client/options.js';
import { fetch } from '../../runtime/log/kafka/wire/fetch.js';
import type { Isolation, Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { declaredState } from '../../topics/apply.js';
import { featureSet } from '../../topics/feature-set.js';
import { eventually, type Row, rowsOf } from '../conformance/log-rows.js';
import { foreignClient } from '../support/services/kafka-tools.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const SEGMENT_MS = 100;
/** Records superseded by a newer one of their key go once their segment is closed, deletions and markers too. */
const COMPACTED_AT_ONCE = {
  'segment.ms': String(SEGMENT_MS),
  'min.cleanable.dirty.ratio': '0.01',
  'delete.retention.ms': '0',
  'min.compaction.lag.ms': '0',
};
/** Positions in a record batch. */
const BATCH = { length: 8, lastOffsetDelta: 23, records: 57, overhead: 12 } as const;

test('readers reach the end of a topic with holes, emptied batches and aborted records, from any starting point', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const { log } = scene;
  const topic = 'holes';
  const place = { topic, partition: 0 };
  await log.admin.createTopic({
    name: topic,
    partitions: 1,
    cleanup: 'compact',
    retentionMs: -1,
    logAppendTime: false,
    settings: COMPACTED_AT_ONCE,
  });
  const written = new Map<number, Row>();
  const note = async () => {
    for (const row of await readFrom(log, topic, 0, 'read_committed')) written.set(row.offset, row);
  };
  // Its only batch will be emptied and kept, because the broker remembers the producer by it.
  await write(log, topic, ['k0', 'k1', 'k2']);
  await note();
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 5; i++) await write(log, topic, [`k${i % 3}`, `only ${round}/${i}`]);
    await transaction(scene.broker.address, topic, 1, round % 2 === 0 ? 'commit' : 'abort');
    await note();
    await pause(SEGMENT_MS);
  }
  for (let i = 0; i < 3; i++) await transaction(scene.broker.address, topic, 1, 'abort');
  await eventually('the last markers are written', async () => {
    const { lastStable, highWatermark } = await log.offsets(place);
    return lastStable === highWatermark;
  });
  const { highWatermark: end } = await log.offsets(place);
  await note();
  await eventually('the cleaner has made holes and emptied a batch', async () => {
    const batches = await batchesOf(scene.broker.address, topic);
    return (
      batches.some(({ records }) => records === 0) && (await readFrom(log, topic, 0, 'read_committed')).length < 45
    );
  });
  let left = await readFrom(log, topic, 0, 'read_committed');
  assert.ok(left.length < written.size);
  const newest = new Map([...written.values()].map((row) => [row.key, row.offset]));
  for (let from = 0; from <= end; from++) {
    const rows = await readFrom(log, topic, from, 'read_committed');
    // The cleaner continues meanwhile: records seen before may be gone, records seen afterwards existed before.
    const after = await readFrom(log, topic, 0, 'read_committed');
    const offsets = rows.map(({ offset }) => offset);
    const since = (all: readonly Row[]) => all.map(({ offset }) => offset).filter((offset) => offset >= from);
    const [before, still] = [since(left), since(after)];
    assert.deepEqual(
      offsets.filter((offset) => !before.includes(offset)),
      [],
      `from ${from}: missing records`,
    );
    assert.deepEqual(
      still.filter((offset) => !offsets.includes(offset)),
      [],
      `from ${from}: skipped records`,
    );
    for (const row of rows) assert.deepEqual(row, written.get(row.offset), 'the remaining records are unchanged');
    for (const [key, offset] of newest)
      assert.ok(offset < from || offsets.includes(offset), `from ${from}: the newest of ${key} is there`);
    left = after;
  }
});

test('tasks restore from changelogs with holes and aborted ends', { timeout: 120_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const { log } = scene;
  const { activityChangelog, popularityChangelog, popularity, affinity } = featureSet(1).topics;
  for (const declaration of [activityChangelog, popularityChangelog, popularity, affinity]) {
    const partitions = await log.partitionCount(declaration.name);
    await log.admin.deleteTopic(declaration.name);
    await log.admin.createTopic({
      ...declaredState(declaration, partitions),
      settings: { ...COMPACTED_AT_ONCE, 'segment.ms': '500' },
    });
  }
  scene.sender.start();
  const first = scene.start();
  await first.holds(scene.tasks);
  await scene.committed(30);
  await eventually('markers were compacted away', async () => {
    const rows = await readFrom(log, activityChangelog.name, 0, 'read_committed');
    const markers = rows.filter(({ key }) => key === '!marker').map(({ offset }) => offset);
    return rows[0]!.offset > 0 && markers.length > 0;
  });
  await first.kill();
  for (const { name } of [activityChangelog, popularityChangelog])
    await transaction(scene.broker.address, name, await log.partitionCount(name), 'abort');
  // In a separate folder: it has only the log.
  const second = scene.start({ name: 'two' });
  await second.holds(scene.tasks);
  await scene.committed(50);
  const verdict = await scene.settled();
  report('compacted-holes', { faults: 1, kills: 1, verdict, restoreSeconds: scene.restoreSeconds });
  await second.stop();
});

/** One batch, by a separate producer. */
async function write(log: Log, topic: string, keys: readonly string[]): Promise<void> {
  const writer = await log.writer([topic]);
  for (const key of keys) writer.add(topic, Buffer.from(key), Buffer.from(`of ${key}`), { partition: 0 });
  await writer.flush();
  await writer.close();
}

/** A transaction of other software in every partition. */
async function transaction(
  brokers: string,
  topic: string,
  partitions: number,
  ends: 'commit' | 'abort',
): Promise<void> {
  const producer = foreignClient(brokers).producer({
    transactionalId: `foreign to ${topic}`,
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const begun = await producer.transaction();
  const messages = Array.from({ length: partitions * 2 }, (_, i) => ({
    partition: i % partitions,
    key: `k${i}`,
    value: ends,
  }));
  await begun.send({ topic, messages });
  await begun[ends]();
  await producer.disconnect();
}

/** Everything in partition 0 from an offset to the end. */
async function readFrom(log: Log, topic: string, offset: number, isolation: Isolation): Promise<Row[]> {
  const place = { topic, partition: 0 };
  const { lastStable } = await log.offsets(place);
  const reader = log.reader([{ ...place, offset }], { isolation, maxWaitMs: 100 });
  const rows: Row[] = [];
  while (reader.position(place) < lastStable) rows.push(...(await reader.poll()).flatMap(rowsOf));
  assert.ok(reader.position(place) >= Math.max(offset, lastStable));
  await reader.close();
  return rows;
}

/** The batches of partition 0 as stored in the log. */
async function batchesOf(brokers: string, topic: string): Promise<{ records: number }[]> {
  const { seeds, ...options } = connectionOptions(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger);
  const cluster = await Cluster.open(seeds, options);
  try {
    await cluster.refresh([topic]);
    const link = await cluster.control.to(cluster.leaderOf(topic, 0)!);
    const whole = 1024 * 1024;
    const asked = fetch([{ topic, partition: 0, offset: 0 }], {
      isolation: 'read_uncommitted',
      maxWaitMs: 100,
      partitionBytesMax: whole,
      answerBytesMax: whole,
    });
    const { bytes, start, end } = (await link.send(asked)).partitions[0]!;
    const batches: { records: number }[] = [];
    for (let at = start; at < end; at += BATCH.overhead + bytes.readInt32BE(at + BATCH.length))
      batches.push({ records: bytes.readInt32BE(at + BATCH.records) });
    return batches;
  } finally {
    cluster.close();
  }
}
