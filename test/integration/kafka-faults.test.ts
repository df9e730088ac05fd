/**
 * Kafka under faults, on our own broker: requests and answers that are lost one by one, and a broker that dies. Records
 * are never lost or duplicated, and an unknown outcome is reported as unknown.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { eventually, inPartition, type Row, readRows } from '../conformance/log-rows.js';
import { API, FaultProxy } from '../support/services/fault-proxy.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';

const proxy = await FaultProxy.open();
const broker = await startBroker({ proxy });
const skip = broker instanceof LocalBroker ? false : `no broker for fault tests: ${broker.missing}`;
if (skip) await proxy.close();

const bytes = (text: string) => Buffer.from(text, 'latin1');
const numbers = (rows: readonly Row[]) => rows.map(({ value }) => Number(value));
const upTo = (end: number) => Array.from({ length: end }, (_, i) => i);

describe('kafka under faults', { skip }, () => {
  let log: Log;
  let topics = 0;
  const running = broker as LocalBroker;

  before(async () => {
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: `127.0.0.1:${proxy.port}` }), silentLogger);
  });
  after(async () => {
    await log?.close();
    await running.stop();
    await proxy.close();
  });

  const makeTopic = async (partitions = 1): Promise<string> => {
    const name = `faults-${++topics}`;
    await log.admin.createTopic({
      name,
      partitions,
      cleanup: 'delete',
      retentionMs: -1,
      logAppendTime: false,
      settings: {},
    });
    return name;
  };
  const readAll = async (topic: string, partitions: number, enough: number): Promise<Row[]> => {
    const start = upTo(partitions).map((partition) => ({ topic, partition, offset: 0 }));
    const reader = log.reader(start, { maxWaitMs: 100 });
    const rows = await readRows(reader, enough);
    await eventually('the end is reached', async () => {
      for (const columns of await reader.poll()) rows.push(...upTo(columns.count).map(() => rows[0]!));
      for (const place of start) {
        const { lastStable, highWatermark } = await log.offsets(place);
        if (reader.position(place) < highWatermark || lastStable < highWatermark) return false;
      }
      return true;
    });
    await reader.close();
    return rows;
  };

  for (const fault of ['lose-request', 'lose-answer'] as const) {
    test(`${fault} of a produce: the writer retries, and each record is written once and in order`, async () => {
      const topic = await makeTopic();
      const writer = await log.writer([topic]);
      for (let i = 0; i < 10; i++) {
        const met = i % 3 === 1 ? proxy.next(API.Produce, fault) : Promise.resolve();
        for (let j = 0; j < 5; j++) writer.add(topic, null, bytes(String(i * 5 + j)), { partition: 0 });
        await writer.flush();
        await met;
      }
      await writer.close();
      assert.deepEqual(numbers(await readAll(topic, 1, 50)), upTo(50));
    });

    test(`${fault} of a produce inside a transaction: retried, the commit succeeds`, async () => {
      const topic = await makeTopic(2);
      const writer = await log.transactionalWriter(`faults-produce-${fault}`, [topic]);
      await writer.init();
      for (let i = 0; i < 6; i++) {
        const met = i % 2 === 1 ? proxy.next(API.Produce, fault) : Promise.resolve();
        for (const partition of [0, 1]) writer.add(topic, null, bytes(String(i)), { partition });
        await writer.commit();
        await met;
      }
      await writer.close();
      const rows = await readAll(topic, 2, 12);
      for (const partition of [0, 1]) assert.deepEqual(numbers(inPartition(rows, partition)), upTo(6));
    });

    test(`${fault} of the first steps of a transaction: retried`, async () => {
      const topic = await makeTopic();
      const writer = await log.transactionalWriter(`faults-begin-${fault}`, [topic]);
      const met = [API.FindCoordinator, API.InitProducerId, API.AddPartitionsToTxn].map((api) =>
        proxy.next(api, fault),
      );
      await writer.init();
      writer.add(topic, null, bytes('0'));
      await writer.commit();
      await Promise.all(met);
      await writer.close();
      assert.deepEqual(numbers(await readAll(topic, 1, 1)), [0]);
    });

    test(`${fault} of the commit itself: reported as unknown, the writer is dead, a new one finds the outcome`, async () => {
      const topic = await makeTopic();
      const id = `faults-end-${fault}`;
      const writer = await log.transactionalWriter(id, [topic]);
      await writer.init();
      writer.add(topic, null, bytes('0'));
      await writer.commit();
      writer.add(topic, null, bytes('1'));
      const met = proxy.next(API.EndTxn, fault);
      await assert.rejects(writer.commit(), (error) => hasCode(error, 'indefinite_commit'));
      await met;
      writer.add(topic, null, bytes('2'));
      await assert.rejects(writer.commit(), (error) => hasCode(error, 'indefinite_commit'), 'dead for good');
      const next = await log.transactionalWriter(id, [topic]);
      await next.init();
      const { lastStable, highWatermark } = await log.offsets({ topic, partition: 0 });
      assert.equal(lastStable, highWatermark, 'init has ended the transaction');
      next.add(topic, null, bytes('3'));
      await next.commit();
      await Promise.all([writer.close(), next.close()]);
      const expected = fault === 'lose-answer' ? [0, 1, 3] : [0, 3];
      assert.deepEqual(numbers(await readAll(topic, 1, expected.length)), expected);
    });

    test(`${fault} of a fetch: reading continues without gaps or repeats`, async () => {
      const topic = await makeTopic(2);
      const writer = await log.writer([topic]);
      const reader = log.reader(
        [0, 1].map((partition) => ({ topic, partition, offset: 0 })),
        { maxWaitMs: 50 },
      );
      const rows: Row[] = [];
      for (let i = 0; i < 8; i++) {
        for (const partition of [0, 1]) writer.add(topic, null, bytes(String(i)), { partition });
        const met = i % 2 === 1 ? proxy.next(API.Fetch, fault) : Promise.resolve();
        await writer.flush();
        rows.push(...(await readRows(reader, 2)));
        await Promise.all([met, reader.poll()]);
      }
      for (const partition of [0, 1]) assert.deepEqual(numbers(inPartition(rows, partition)), upTo(8));
      await Promise.all([reader.close(), writer.close()]);
    });

    test(`${fault} of join, sync and heartbeat: the member gets its tasks and keeps them`, async () => {
      const topic = await makeTopic(3);
      const met = [API.JoinGroup, API.SyncGroup].map((api) => proxy.next(api, fault));
      let assigned: readonly number[] = [];
      let revocations = 0;
      const membership = await log.join({
        group: `faults-${fault}`,
        tasks: 3,
        partitionsOf: (task) => [{ topic, partition: task }],
        sessionTimeoutMs: 6000,
        onRevoked: async () => {
          revocations++;
          assigned = [];
        },
        onAssigned: async ({ tasks }) => {
          assigned = tasks;
        },
        onFailed: (error) => assert.fail(error),
      });
      await eventually('all tasks are assigned', async () => assigned.length === 3);
      await Promise.all(met);
      const before = revocations;
      const lost = proxy.next(API.Heartbeat, fault);
      assert.equal(await membership.confirmed(), true);
      await lost;
      assert.equal(revocations, before);
      await membership.leave();
    });
  }

  test('a fetch that is never answered: close ends it at once', async () => {
    const topic = await makeTopic();
    const reader = log.reader([{ topic, partition: 0, offset: 0 }], { maxWaitMs: 20_000 });
    const stalled = proxy.next(API.Fetch, 'stall');
    const waiting = reader.poll();
    await stalled;
    const begun = performance.now();
    await reader.close();
    assert.deepEqual(await waiting, []);
    assert.ok(performance.now() - begun < 1000);
  });

  test('a produce that is never answered inside a transaction: reported as unknown in bounded time', async () => {
    const topic = await makeTopic();
    const writer = await log.transactionalWriter('faults-stall', [topic]);
    await writer.init();
    writer.add(topic, null, bytes('0'));
    const stalled = proxy.next(API.Produce, 'stall');
    const begun = performance.now();
    const committing = assert.rejects(writer.commit(), (error) => hasCode(error, 'indefinite_commit'));
    await stalled;
    await committing;
    assert.ok(performance.now() - begun < 15_000);
    const next = await log.transactionalWriter('faults-stall', [topic]);
    await next.init();
    next.add(topic, null, bytes('1'));
    await next.commit();
    assert.deepEqual(numbers(await readAll(topic, 1, 1)), [1]);
    await Promise.all([writer.close(), next.close()]);
  });

  test('kill -9 of the broker while reading and writing: nothing is lost, duplicated or reordered', async () => {
    const topic = await makeTopic(2);
    const writer = await log.writer([topic]);
    const reader = log.reader(
      [0, 1].map((partition) => ({ topic, partition, offset: 0 })),
      { maxWaitMs: 100 },
    );
    let written = 0;
    let stop = false;
    const writing = (async () => {
      while (!stop) {
        for (let i = 0; i < 20; i++, written++) {
          for (const partition of [0, 1]) writer.add(topic, null, bytes(String(written)), { partition });
        }
        await writer.flush();
      }
    })();
    const rows = await readRows(reader, 2000);
    await running.kill();
    proxy.cutAll();
    await running.start();
    rows.push(...(await readRows(reader, 2000)));
    stop = true;
    await writing;
    if (rows.length < written * 2) rows.push(...(await readRows(reader, written * 2 - rows.length)));
    for (const partition of [0, 1]) assert.deepEqual(numbers(inPartition(rows, partition)), upTo(written));
    await Promise.all([reader.close(), writer.close()]);
  });

  test('a member keeps its tasks through a broker restart', async () => {
    const topic = await makeTopic(2);
    const events: string[] = [];
    const membership = await log.join({
      group: 'faults-restart',
      tasks: 2,
      partitionsOf: (task) => [{ topic, partition: task }],
      onRevoked: async () => {
        events.push('revoked');
      },
      onAssigned: async ({ tasks }) => {
        events.push(`assigned ${tasks}`);
      },
      onFailed: (error) => assert.fail(error),
    });
    await eventually('all tasks are assigned', async () => events.length === 1);
    await running.kill();
    const confirming = membership.confirmed();
    await running.start();
    assert.equal(await confirming, true);
    assert.deepEqual(events, ['assigned 0,1']);
    await membership.leave();
    assert.deepEqual(events, ['assigned 0,1', 'revoked']);
  });
});
