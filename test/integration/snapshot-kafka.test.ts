/** I24: a snapshot's process that opens Kafka itself: control records, aborted transactions at the end, an open one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import kafkajs from 'kafkajs';
import { loadSettings } from '../../assembly/settings.js';
import { Interrupted } from '../../jobs/job.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { runChild } from '../../snapshotters/child-process.js';
import { eventually } from '../conformance/log-rows.js';
import { kafkaOrReason } from '../support/services/kafka.js';
import { foreignClient } from '../support/services/kafka-tools.js';
import { faultsOf, keysOf, MODULE, placeOf, put, settingsIn } from '../support/snapshots/counted.js';
import { COUNTING_FILE } from '../support/snapshots/counting.js';

const { kafka, skip } = await kafkaOrReason();
const brokers = kafka?.brokers ?? '';

describe('a snapshot of a topic in Kafka', { skip }, () => {
  let log: Log;
  before(async () => {
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger);
  });
  after(async () => {
    await log?.close();
    await kafka?.stop();
  });

  test('continues after a kill, and ends after aborted and before open transactions', async (t) => {
    const { folder } = await placeOf(t);
    const topic = `snapshot-${randomBytes(4).toString('hex')}`;
    const config = { name: topic, partitions: 2, cleanup: 'compact', retentionMs: -1, logAppendTime: false } as const;
    await log.admin.createTopic({ ...config, settings: {} });
    await put(log, keysOf(60), 20_000, topic);
    const producer = async () => {
      const own = foreignClient(brokers).producer({
        transactionalId: randomBytes(4).toString('hex'),
        idempotent: true,
        maxInFlightRequests: 1,
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      });
      await own.connect();
      const transaction = await own.transaction();
      t.after(async () => {
        if (transaction.isActive()) await transaction.abort();
        await own.disconnect();
      });
      return transaction;
    };
    const aborted = await producer();
    const rows = (value: string) =>
      [0, 1].map((partition) => ({ topic, messages: [{ key: 'k000', value, partition }] }));
    await aborted.sendBatch({ topicMessages: rows('never') });
    await aborted.abort();
    await eventually('the markers are written', async () => {
      const now = await Promise.all([0, 1].map((partition) => log.offsets({ topic, partition })));
      return now.every(({ lastStable, highWatermark }) => lastStable === highWatermark);
    });
    const open = await producer();
    await open.sendBatch({ topicMessages: rows('not yet') });
    const stableEnds = await Promise.all(
      [0, 1].map(async (partition) => (await log.offsets({ topic, partition })).lastStable),
    );

    const module = new URL(MODULE);
    module.searchParams.set('topic', topic);
    const run = (execArgv: readonly string[] = []) =>
      runChild({
        job: {
          module: module.href,
          runId: 'run',
          settings: settingsIn(folder, { KAFKA_BROKERS: brokers }),
          runFolder: join(folder, 'run'),
          previous: null,
          pace: { savepointMs: 0, fetchBytes: 64 * 1024 },
        },
        // Nothing is lent: it has to help itself.
        log,
        topics: [],
        onProgress: () => undefined,
        signal: new AbortController().signal,
        stopMs: 5_000,
        execArgv,
      });
    const killed = faultsOf({ point: 'capture.read', passing: 3, does: 'kill' });
    await assert.rejects(run(killed), (error) => error instanceof Interrupted);
    await put(log, keysOf(5, 'later'), 10, topic);
    const { manifest, folder: built } = (await run())!;
    assert.equal(manifest.counts['keys'], 60);
    assert.deepEqual(
      manifest.inputs.map(({ to }) => to),
      stableEnds,
    );
    const sizes = (await readFile(join(built, COUNTING_FILE), 'utf8')).trim().split('\n');
    for (const line of sizes) assert.equal((JSON.parse(line) as { bytes: number }).bytes, 20_000, line);
  });
});
