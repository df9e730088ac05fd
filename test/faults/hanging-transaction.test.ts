/**
 * I1: a transaction of another producer hangs in a changelog, and in the input. Running tasks continue as far as the
 * input is stable; a starting task waits, and continues by itself if the transaction ends in time. Otherwise it stops,
 * says where, and can be started once the transaction has ended. Nothing is read past it, so nothing is lost or counts
 * twice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import type { Processors } from '../../processors/application.js';
import { createProcessors } from '../../processors/features/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { type Clock, systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import { featureSet } from '../../topics/feature-set.js';
import { eventually } from '../conformance/log-rows.js';
import { foreignClient } from '../support/services/kafka-tools.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const CHANGELOG = 'features.v1.activity-changelog';
/** A little longer than a task waits for its changelog to become stable. */
const PATIENCE_MS = 31_000;

/** Runs like the system clock, ahead of it by the skipped time. */
class SkippingClock implements Clock {
  #aheadMs = 0;
  readonly sleep = systemClock.sleep;

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  elapsed(): number {
    return performance.now() + this.#aheadMs;
  }

  skip(ms: number): void {
    this.#aheadMs += ms;
  }
}

test('a transaction of another producer hangs: tasks wait, say where, and continue when it ends', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const clock = new SkippingClock();
  const log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: scene.broker.address }), silentLogger);
  t.after(() => log.close());
  const reporting = openReporting(silentLogger);
  const start = async (): Promise<Processors> => {
    const settings = loadSettings({ CHANGELOG_INTERVAL_S: '1', INTERACTIONS_INTERVAL_S: '1' });
    const shared = { log, codec: new Codec(), settings, ...reporting, clock, set: featureSet(1) };
    const processors = createProcessors(shared);
    await processors.start();
    return processors;
  };
  const restored = async ({ application }: Processors, waiting: readonly string[] = []) =>
    eventually('all but the waiting are restored', async () => application.waiting.join() === waiting.join());
  const hang = async () => {
    const producer = foreignClient(scene.broker.address).producer({
      transactionalId: 'foreign',
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: 600_000,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    for (const topic of [CHANGELOG, 'events'])
      await transaction.send({ topic, messages: [{ partition: 0, key: 'u1', value: 'never committed' }] });
    const { lastStable } = await scene.log.offsets({ topic: CHANGELOG, partition: 0 });
    const end = async () => {
      await transaction.abort();
      await producer.disconnect();
    };
    return { lastStable, end };
  };

  scene.sender.start();
  let engine = await start();
  await restored(engine);
  await scene.committed(10);

  let hanging = await hang();
  await scene.committed(40);
  await engine.stop();
  engine = await start();
  await restored(engine, ['the state of activity-0']);
  await scene.committed(20);
  await hanging.end();
  await restored(engine);
  await scene.committed(20);
  assert.deepEqual(engine.application.failures, []);
  await engine.stop();

  hanging = await hang();
  engine = await start();
  await restored(engine, ['the state of activity-0']);
  clock.skip(PATIENCE_MS);
  await eventually('the task stops', async () => engine.application.failures.length > 0);
  const [failure] = engine.application.failures;
  assert.equal(failure!.task, 'features.v1.activity-0');
  assert.match(failure!.error.message, new RegExp(`hangs in ${CHANGELOG}\\[0\\] at offset ${hanging.lastStable};`));
  await scene.committed(20);
  await hanging.end();
  await engine.stop();
  engine = await start();
  await restored(engine);

  const verdict = await scene.settled();
  await engine.stop();
  report('hanging-transaction', { faults: 2, kills: 0, verdict });
});
