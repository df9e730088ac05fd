/**
 * A batch in a broker's file changes: the task that reads it stops, before it and with everything earlier committed, and
 * names its offsets. Once an operator gives them up, the running process goes on by itself, and whoever starts later
 * passes over the same offsets: everything else counts exactly once.
 */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { openSkips } from '../../ingest/skips.js';
import { createProcessors } from '../../processors/features/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import type { Event, Popularity } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { events } from '../../topics/events.js';
import { featureSet } from '../../topics/feature-set.js';
import { readAll, workEnds } from '../bench/feed.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';
import { report } from './harness/report.js';

const BATCHES = 30;
const PER_BATCH = 20;
const DAMAGED = 12;
const MS_MAX = 60_000;
const codec = new Codec();

/** Batch n, all about the product p<n>. */
async function send(log: Log, from: number, to: number): Promise<void> {
  const writer = await log.writer([events.name]);
  for (let n = from; n < to; n++) {
    for (let i = 0; i < PER_BATCH; i++) {
      const event: Event = {
        event_id: `e${n}-${i}`,
        user_id: 'u1',
        product_id: `p${n}`,
        category: 'hats',
        event_type: 'view',
        ts: Date.now(),
      };
      writer.add(events.name, Buffer.from('u1'), codec.encode('Event', event), { partition: 0 });
    }
    await writer.flush();
  }
  await writer.close();
}

/** A process of its own: its skips, and the processors behind them. */
async function startMember(t: TestContext, whole: Log) {
  const settings = loadSettings({ PARTITIONS: '1' });
  const { log, skips } = await openSkips({ log: whole, codec, logger: silentLogger, clock: systemClock });
  const reporting = openReporting(silentLogger);
  const processors = createProcessors({ log, codec, settings, ...reporting, clock: systemClock, set: featureSet(1) });
  skips.subscribe(() => processors.application.retryStopped());
  await processors.start();
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await processors.stop();
    await skips.stop();
  };
  t.after(stop);
  return { log, skips, processors, stop };
}

async function viewsOf(log: Log): Promise<Map<string, number>> {
  const views = new Map<string, number>();
  await readAll(log, featureSet(1).topics.popularity.name, ({ key, value }) => {
    views.set(key!, (codec.decode('Popularity', value!) as Popularity).views);
  });
  return views;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + MS_MAX;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not within ${MS_MAX} ms: ${what}`);
    await pause(50);
  }
}

test('I6: a damaged batch on a broker is named, and passed over once it is given up', {
  timeout: 180_000,
}, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  t.after(() => broker.stop());
  const whole = await openKafkaLog(loadSettings({ KAFKA_BROKERS: broker.address }), silentLogger);
  t.after(() => whole.close());
  await applyTopics(whole.admin, allTopics(), { kind: whole.kind, partitions: 1 });
  await send(whole, 0, BATCHES);
  const path = join(broker.folder, 'data', `${events.name}-0`, '00000000000000000000.log');
  const file = await open(path, 'r+');
  const at = (await file.readFile()).indexOf(`e${DAMAGED}-3`);
  await file.write(Buffer.from('x'), 0, 1, at);
  await file.close();

  const first = await startMember(t, whole);
  await until('the task stops', () => first.processors.application.failures.length === 1);
  const [{ error } = { error: null }] = first.processors.application.failures;
  const range = /events\[0\].*checksum mismatch of the batch with the offsets (\d+) to (\d+)/.exec(String(error));
  assert.ok(range !== null, String(error));
  const [from, last] = [Number(range[1]), Number(range[2])];
  assert.deepEqual([from, last], [DAMAGED * PER_BATCH, (DAMAGED + 1) * PER_BATCH - 1]);
  await until('everything before it is published', async () => (await viewsOf(whole)).size === DAMAGED);

  await first.skips.request(
    { topic: events.name, partition: 0, from, to: last + 1, reason: 'the disk of the broker' },
    { by: 'the test', at: Date.now() },
  );
  const expected = (batches: number) =>
    new Map(
      Array.from({ length: batches }, (_, n) => n)
        .filter((n) => n !== DAMAGED)
        .map((n) => [`p${n}`, PER_BATCH] as const),
    );
  await first.processors.application.reached.waitFor(await workEnds(first.log, events.name));
  await until('all others are published', async () => (await viewsOf(whole)).size === BATCHES - 1);
  assert.deepEqual(await viewsOf(whole), expected(BATCHES));
  await first.stop();

  await send(whole, BATCHES, BATCHES + 5);
  const second = await startMember(t, whole);
  await second.processors.application.reached.waitFor(await workEnds(second.log, events.name));
  await until('later ones are published', async () => (await viewsOf(whole)).size === BATCHES + 4);
  assert.deepEqual(await viewsOf(whole), expected(BATCHES + 5));
  const counted = (BATCHES + 4) * PER_BATCH;
  report('damaged-batch', {
    faults: 1,
    kills: 0,
    verdict: { events: counted, counted, lost: 0, double: 0, wrong: 0, words: [] },
  });
});
