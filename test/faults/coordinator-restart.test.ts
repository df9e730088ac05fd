/**
 * I4: the coordinator of a transaction restarts, or hands over to another broker, in the middle of it. A single broker
 * cannot show this, so a simulated cluster answers as coordinators do while they load, move and finish earlier work.
 * Requests are repeated if safe, every commit takes effect once, and unknown outcomes are reported as such.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { readRows } from '../conformance/log-rows.js';
import { FakeKafka } from '../support/services/fake-kafka.js';
import { ANSWER } from '../support/services/fake-transactions.js';
import { API } from '../support/services/fault-proxy.js';

const TOPIC = 'changelog';
const ID = 'features.v1.activity-0';
const NOT_LEADER = 6;
const { CoordinatorLoading, CoordinatorNotAvailable, NotCoordinator, ConcurrentTransactions } = ANSWER;

describe('the coordinator restarts', () => {
  let kafka: FakeKafka;
  let log: Log;

  beforeEach(async () => {
    kafka = await FakeKafka.open(2);
    kafka.topics.set(
      TOPIC,
      [1, 2].map((leader) => ({ leader, batches: [], earliest: 0, lastStable: 0, highWatermark: 0 })),
    );
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: kafka.brokers }), silentLogger);
  });
  afterEach(async () => {
    await log.close();
    await kafka.close();
  });

  const begin = async () => {
    const writer = await log.transactionalWriter(ID, [TOPIC]);
    await writer.init();
    const commit = (value: string) => {
      for (const partition of [0, 1]) writer.add(TOPIC, null, Buffer.from(value), { partition });
      return writer.commit();
    };
    return { writer, commit };
  };
  /** The records readers see in both partitions, which must be the same. */
  const committed = async (rows: number) => {
    const values = await Promise.all(
      [0, 1].map(async (partition) => {
        const reader = log.reader([{ topic: TOPIC, partition, offset: 0 }], { maxWaitMs: 20 });
        const found = (await readRows(reader, rows)).map(({ value }) => value);
        for (const columns of await reader.poll()) assert.equal(columns.count, 0, 'nothing more');
        await reader.close();
        return found;
      }),
    );
    assert.deepEqual(values[0], values[1]);
    return values[0];
  };

  const passing = [
    ['COORDINATOR_LOAD_IN_PROGRESS', CoordinatorLoading],
    ['COORDINATOR_NOT_AVAILABLE', CoordinatorNotAvailable],
    ['NOT_COORDINATOR', NotCoordinator],
    ['CONCURRENT_TRANSACTIONS', ConcurrentTransactions],
  ] as const;
  for (const [name, error] of passing) {
    test(`${name} at every step: repeated, committed once`, async () => {
      for (const api of [API.FindCoordinator, API.InitProducerId]) kafka.transactions.answer(api, [error, error]);
      const { commit } = await begin();
      await commit('1');
      for (const api of [API.AddPartitionsToTxn, API.EndTxn]) kafka.transactions.answer(api, [error, error]);
      await commit('2');
      await commit('3');
      assert.deepEqual(await committed(3), ['1', '2', '3']);
      assert.deepEqual(kafka.transactions.ended, { committed: 3, aborted: 0 });
    });
  }

  test('the coordinator moves between any two steps: found again, committed once', async () => {
    const { commit } = await begin();
    let expected = 0;
    for (const api of [API.InitProducerId, API.AddPartitionsToTxn, API.Produce, API.EndTxn]) {
      const asked = kafka.transactions.asked.length;
      const committing = commit(String(++expected));
      while (!kafka.transactions.asked.slice(asked).some((one) => one.api === api) && api !== API.InitProducerId)
        await new Promise(setImmediate);
      kafka.transactions.coordinator = 3 - kafka.transactions.coordinator;
      await committing;
    }
    assert.deepEqual(await committed(expected), ['1', '2', '3', '4']);
    assert.equal(kafka.transactions.ended.committed, expected);
    const nodes = new Set(kafka.transactions.asked.filter(({ api }) => api === API.EndTxn).map(({ node }) => node));
    assert.deepEqual([...nodes].sort(), [1, 2], 'both have received requests');
  });

  test('the end was written before the coordinator said it could not: the repetition learns this, committed once', async () => {
    const { commit } = await begin();
    kafka.transactions.answer(API.EndTxn, [CoordinatorNotAvailable], true);
    await commit('1');
    await commit('2');
    assert.deepEqual(await committed(2), ['1', '2']);
    assert.equal(kafka.transactions.ended.committed, 2);
  });

  test('the new coordinator has ended the transaction meanwhile: unknown, not fenced', async () => {
    const { writer, commit } = await begin();
    kafka.transactions.answer(API.EndTxn, [NotCoordinator, ANSWER.InvalidTransactionState]);
    await assert.rejects(commit('1'), (error) => hasCode(error, 'indefinite_commit'));
    await writer.close();
    const next = await begin();
    assert.deepEqual(kafka.transactions.ended, { committed: 0, aborted: 1 });
    await next.commit('2');
    assert.deepEqual(await committed(1), ['2']);
  });

  test('a coordinator that loads for longer than the transaction may last: unknown in bounded time', async () => {
    const { writer, commit } = await begin();
    kafka.transactions.answer(API.EndTxn, new Array<number>(1_000).fill(CoordinatorLoading));
    const begun = performance.now();
    await assert.rejects(commit('1'), (error) => hasCode(error, 'indefinite_commit'));
    assert.ok(performance.now() - begun < 10_000);
    await writer.close();
  });

  test('a broker that has just started has no topics yet: waited for, committed once, nothing stops', async () => {
    const { commit } = await begin();
    await commit('1');
    const reader = log.reader([{ topic: TOPIC, partition: 0, offset: 0 }], { maxWaitMs: 20 });
    assert.equal((await readRows(reader, 1)).length, 1);
    kafka.forgetful = 8;
    kafka.nextFetchError = NOT_LEADER;
    kafka.transactions.answer(API.Produce, [NOT_LEADER]);
    const committing = commit('2');
    assert.equal(await log.partitionCount(TOPIC), 2);
    assert.equal((await log.offsets({ topic: TOPIC, partition: 1 })).earliest, 0);
    await committing;
    assert.equal((await readRows(reader, 1)).length, 1);
    await reader.close();
    assert.equal(kafka.forgetful, 0);
    assert.deepEqual(await committed(2), ['1', '2']);
  });

  test('a newer writer on the new coordinator: fenced', async () => {
    const former = await begin();
    await former.commit('1');
    kafka.transactions.coordinator = 2;
    const next = await begin();
    await assert.rejects(former.commit('2'), (error) => hasCode(error, 'fenced'));
    await next.commit('3');
    assert.deepEqual(await committed(2), ['1', '3']);
  });
});
