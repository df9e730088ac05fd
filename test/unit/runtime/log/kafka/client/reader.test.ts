/** The reader against a misbehaving cluster: moving leaders, cut answers, gaps in the log. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { loadSettings } from '../../../../../../assembly/settings.js';
import { openKafkaLog } from '../../../../../../runtime/log/kafka/log.js';
import type { Log, ReaderOptions } from '../../../../../../runtime/log/log.js';
import { RecordBatchBuilder } from '../../../../../../runtime/log/record-batch.js';
import { hasCode } from '../../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../../runtime/process/logger.js';
import { eventually, inPartition, readRows } from '../../../../../conformance/log-rows.js';
import { FakeKafka, type FakePartition } from '../../../../../support/services/fake-kafka.js';

const TOPIC = 'events';

function batch(first: number, count: number, valueBytes = 10): FakePartition['batches'][number] {
  const builder = new RecordBatchBuilder();
  for (let i = 0; i < count; i++) builder.add(null, Buffer.from(String(first + i).padEnd(valueBytes)), 1);
  return { first, last: first + count - 1, bytes: builder.finish(first) };
}

function partition(leader: number, batches: FakePartition['batches']): FakePartition {
  const end = (batches.at(-1)?.last ?? -1) + 1;
  return { leader, batches, earliest: batches[0]?.first ?? 0, lastStable: end, highWatermark: end };
}

describe('kafka reader', () => {
  let kafka: FakeKafka;
  let log: Log;

  beforeEach(async () => {
    kafka = await FakeKafka.open(2);
  });
  afterEach(async () => {
    await log?.close();
    await kafka.close();
  });

  const read = async (partitions: FakePartition[], options: ReaderOptions = {}) => {
    kafka.topics.set(TOPIC, partitions);
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: kafka.brokers }), silentLogger);
    const start = partitions.map(({ earliest }, i) => ({ topic: TOPIC, partition: i, offset: earliest }));
    return log.reader(start, { maxWaitMs: 20, ...options });
  };
  const offsets = (rows: readonly { offset: number }[]) => rows.map(({ offset }) => offset);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  test('asks each leader once for all of its partitions', async () => {
    const reader = await read([1, 2, 1, 2].map((leader) => partition(leader, [batch(0, 5)])));
    const rows = await readRows(reader, 20);
    for (const i of [0, 1, 2, 3]) assert.deepEqual(offsets(inPartition(rows, i)), range(0, 5));
    for (const { node, partitions } of kafka.fetches) {
      assert.deepEqual(partitions.map((asked) => asked.partition).sort(), node === 1 ? [0, 2] : [1, 3]);
    }
  });

  test('fetches one answer ahead and not more', async () => {
    const [only] = [
      partition(
        1,
        range(0, 10).map((i) => batch(i * 10, 10)),
      ),
    ];
    const bytesMax = only.batches[0]!.bytes.length;
    const reader = await read([only], { maxBytesPerPartition: bytesMax, maxWaitMs: 5000 });
    await readRows(reader, 10);
    await eventually('the next answer is requested', async () => kafka.fetches.length === 2);
    // A request and its answer on another connection: whatever was in flight has arrived.
    for (let i = 0; i < 5; i++) await log.offsets({ topic: TOPIC, partition: 0 });
    assert.equal(kafka.fetches.length, 2);
    assert.deepEqual(
      kafka.fetches.map(({ partitions }) => partitions[0]!.offset),
      [0, 10],
    );
  });

  test('waits before the next fetch after a small answer, and continues at once after a large one', async () => {
    const few = partition(1, [batch(0, 10), batch(10, 10), batch(20, 10)]);
    const many = partition(1, [batch(0, 10, 5_000), batch(10, 10, 5_000), batch(20, 10, 5_000)]);
    const oneBatch = ({ batches }: FakePartition) => ({ maxBytesPerPartition: batches[0]!.bytes.length });
    const patient = await read([few], { ...oneBatch(few), gapMs: 60_000 });
    assert.deepEqual(offsets(await readRows(patient, 10)), range(0, 10));
    assert.deepEqual(await patient.poll(), []);
    assert.equal(kafka.fetches.length, 1);
    await log.close();
    const calm = await read([few], { ...oneBatch(few), gapMs: 30 });
    assert.deepEqual(offsets(await readRows(calm, 30)), range(0, 30));
    await log.close();
    const busy = await read([many], { ...oneBatch(many), gapMs: 60_000 });
    assert.deepEqual(offsets(await readRows(busy, 30)), range(0, 30));
  });

  test('follows a partition to its new leader, and the others continue', async () => {
    const moving = partition(1, [batch(0, 5)]);
    const staying = partition(1, [batch(0, 5)]);
    const reader = await read([moving, staying]);
    const rows = await readRows(reader, 10);
    moving.leader = 2;
    for (const each of [moving, staying]) {
      each.batches.push(batch(5, 5));
      each.lastStable = each.highWatermark = 10;
    }
    rows.push(...(await readRows(reader, 10)));
    for (const i of [0, 1]) assert.deepEqual(offsets(inPartition(rows, i)), range(0, 10));
    assert.ok(kafka.metadataAsked < 20);
  });

  test('continues when the broker of a partition is gone and another leads it', async () => {
    const moving = partition(2, [batch(0, 5)]);
    const reader = await read([moving]);
    const rows = await readRows(reader, 5);
    await kafka.stop(2);
    moving.leader = -1;
    assert.deepEqual(await reader.poll(), []);
    moving.leader = 1;
    moving.batches.push(batch(5, 5));
    moving.lastStable = moving.highWatermark = 10;
    rows.push(...(await readRows(reader, 5)));
    assert.deepEqual(offsets(rows), range(0, 10));
  });

  test('a leaderless partition does not make the reader ask endlessly', async () => {
    const reader = await read(
      [
        partition(-1, [batch(0, 5)]),
        partition(
          1,
          range(0, 40).map((i) => batch(i * 5, 5)),
        ),
      ],
      {
        maxBytesPerPartition: 200,
      },
    );
    await readRows(reader, 200);
    assert.ok(kafka.metadataAsked < 15, `asked ${kafka.metadataAsked} times`);
  });

  for (const error of [3, 5, 6, 9, 56, 74, 75, 78]) {
    test(`error ${error} of a fetch passes by itself`, async () => {
      const reader = await read([partition(1, [batch(0, 5)])]);
      kafka.nextFetchError = error;
      assert.deepEqual(offsets(await readRows(reader, 5)), range(0, 5));
    });
  }

  test('refused access is an error, and stays one', async () => {
    const reader = await read([partition(1, [batch(0, 5)])]);
    kafka.nextFetchError = 29;
    for (let i = 0; i < 2; i++)
      await assert.rejects(
        readRows(reader, 5),
        (error) => hasCode(error, 'access') && /events\[0\]/.test(String(error)),
      );
  });

  test('out of range is believed only when the offset is outside of the whole log', async () => {
    const reader = await read([partition(1, [batch(0, 5)])]);
    kafka.nextFetchError = 1;
    assert.deepEqual(offsets(await readRows(reader, 5)), range(0, 5));
    kafka.topics.get(TOPIC)![0]!.earliest = 7;
    kafka.topics.get(TOPIC)![0]!.highWatermark = 9;
    await assert.rejects(
      readRows(reader, 1),
      (error) => hasCode(error, 'offset_out_of_range') && /events\[0\].* offset 5.* 7 to 9/.test(String(error)),
    );
  });

  test('a batch larger than every limit arrives, even after partitions that fill the answer', async () => {
    const partitions = [0, 1, 2, 3].map(() =>
      partition(
        1,
        range(0, 4).map((i) => batch(i, 1, 5000)),
      ),
    );
    const options = { maxBytesPerPartition: 3000 };
    kafka.answerBytesMax = 3000;
    const rows = await readRows(await read(partitions, options), 16);
    for (const i of [0, 1, 2, 3]) assert.deepEqual(offsets(inPartition(rows, i)), range(0, 4));
  });

  test('the position skips a gap that compaction left at the end', async () => {
    const compacted = partition(1, [batch(0, 5)]);
    compacted.lastStable = compacted.highWatermark = 50;
    const reader = await read([compacted, partition(1, [batch(0, 5)])]);
    const rows = await readRows(reader, 10);
    assert.equal(rows.length, 10);
    await eventually('the position is the end', async () => {
      await reader.poll();
      return reader.position({ topic: TOPIC, partition: 0 }) === 50;
    });
    compacted.batches.push(batch(50, 5));
    compacted.lastStable = compacted.highWatermark = 55;
    assert.deepEqual(offsets(await readRows(reader, 5)), range(50, 55));
  });

  test('a throttled answer without records is not a gap', async () => {
    const slow = partition(1, []);
    slow.earliest = 0;
    slow.lastStable = slow.highWatermark = 5;
    kafka.throttleMs = 5;
    const reader = await read([slow]);
    for (let i = 0; i < 5; i++) await reader.poll();
    assert.equal(reader.position({ topic: TOPIC, partition: 0 }), 0);
    slow.batches.push(batch(0, 5));
    assert.deepEqual(offsets(await readRows(reader, 5)), range(0, 5));
  });

  test('damaged records are an error that names their place', async () => {
    const damaged = partition(1, [batch(0, 5)]);
    damaged.batches[0]!.bytes[70]! ^= 1;
    const reader = await read([damaged]);
    await assert.rejects(
      readRows(reader, 1),
      (error) => hasCode(error, 'invalid_data') && /events\[0\]/.test(String(error)),
    );
    assert.equal(reader.position({ topic: TOPIC, partition: 0 }), 0);
  });

  test('a second poll while one waits is refused; after close every poll is', async () => {
    const reader = await read([partition(1, [])], { maxWaitMs: 5000 });
    const waiting = reader.poll();
    await assert.rejects(reader.poll(), (error) => hasCode(error, 'internal'));
    await reader.close();
    await reader.close();
    assert.deepEqual(await waiting, []);
    await assert.rejects(reader.poll(), (error) => hasCode(error, 'state'));
  });
});
