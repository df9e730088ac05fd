/**
 * A poison record in the middle of a batch, between good ones of the same fetch and of the same transaction, in plain
 * and in compressed batches, and batches that are decompression bombs: one dead letter at its own offset, and every good
 * record before and after it counts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { createProcessors } from '../../processors/features/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import type { DeadLetter, Event, Popularity } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { deadLetters, events } from '../../topics/events.js';
import { featureSet } from '../../topics/feature-set.js';
import { readAll, workEnds } from '../bench/feed.js';
import { Driver } from '../support/driver.js';
import { startBroker } from '../support/services/kafka.js';
import { FOREIGN_CODECS, foreignClient, registerForeignCodecs } from '../support/services/kafka-tools.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const PARTITIONS = 2;
const GOOD_PER_BATCH = 40;
/** Positions of the poison among the good records: at both ends and in the middle. */
const POISON_AT = [0, 20, 21, 40];
const POPULARITY_MS_MAX = 60_000;
/** Codecs that also send a bomb: a batch that becomes this large. */
const BOMBS: readonly string[] = ['gzip', 'lz4'];
const BOMB_BYTES = 40 * 1024 * 1024;
const codec = new Codec();

let made = 0;
function good(product: string, ts: number): Buffer {
  made++;
  const event: Event = {
    event_id: `e${made}`,
    user_id: 'u1',
    product_id: product,
    category: 'hats',
    event_type: 'view',
    ts,
  };
  return codec.encode('Event', event);
}

/** Kinds that fail in different places: the framing, the schema, the body, the end. */
const poisons = (ts: number): Buffer[] => [
  Buffer.from('poison'),
  Buffer.from('c3010011223344556677', 'hex'),
  Buffer.concat([codec.prefix('Event'), Buffer.alloc(64, 0xff)]),
  Buffer.concat([good('never', ts), Buffer.of(0)]),
];

interface Sent {
  readonly value: Buffer;
  readonly isPoison: boolean;
}

function batchOf(product: string, ts: number): Sent[] {
  const kinds = poisons(ts);
  const batch: Sent[] = [];
  for (let n = 0; n <= GOOD_PER_BATCH; n++) {
    if (POISON_AT.includes(n)) batch.push({ value: kinds[POISON_AT.indexOf(n)]!, isPoison: true });
    if (n < GOOD_PER_BATCH) batch.push({ value: good(product, ts), isPoison: false });
  }
  return batch;
}

test('I6: between good ones of the same transaction and fetch', async () => {
  const driver = await Driver.open({ now: NOW, partitions: PARTITIONS, commitIntervalMs: 0 });
  try {
    const writer = await driver.log.transactionalWriter('a producer of events', [events.name]);
    await writer.init();
    const expected: number[] = [];
    for (const [n, { value, isPoison }] of batchOf('p1', NOW).entries()) {
      writer.add(events.name, Buffer.from('u1'), value);
      if (isPoison) expected.push(n);
    }
    await writer.commit();
    await writer.close();
    // Folded and lost, then folded again: still one dead letter each.
    await driver.foldOnly();
    await driver.crash();
    await driver.run();
    await driver.crash();
    await driver.run();
    const row = (await driver.table<Popularity>(driver.topics.popularity.name)).get('p1');
    assert.equal(row?.views, GOOD_PER_BATCH);
    const letters = await driver.records<DeadLetter>(deadLetters.name);
    assert.deepEqual(
      letters.map(({ value }) => value!.source!.offset).sort((a, b) => a - b),
      expected,
    );
  } finally {
    await driver.close();
  }
});

test('I6: in plain and compressed batches of other producers on Kafka, in transactions, in aborted ones', {
  timeout: 120_000,
}, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  const settings = loadSettings({ KAFKA_BROKERS: broker.address, PARTITIONS: String(PARTITIONS) });
  const log = await openKafkaLog(settings, silentLogger);
  try {
    await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions: PARTITIONS });
    const products = await produceAll(broker.address);
    const processors = createProcessors({
      log,
      codec,
      settings,
      ...openReporting(silentLogger),
      clock: systemClock,
      set: featureSet(1),
    });
    await processors.start();
    try {
      await processors.application.reached.waitFor(await workEnds(log, events.name));
      const deadline = performance.now() + POPULARITY_MS_MAX;
      while (total(await viewsOf(log)) < GOOD_PER_BATCH * products.length && performance.now() < deadline)
        await pause(50);
    } finally {
      await processors.stop();
    }
    assert.deepEqual(
      await viewsOf(log),
      new Map([...products].sort().map((product) => [product, GOOD_PER_BATCH])),
      'every good one, and nothing of an aborted transaction',
    );
    await oneLetterEach(log, products.length);
  } finally {
    await log.close();
    await broker.stop();
  }
});

/** Batches of every codec, each with poison in it; returns the products whose events count. */
async function produceAll(brokers: string): Promise<string[]> {
  registerForeignCodecs();
  const client = foreignClient(brokers);
  const createPartitioner = kafkajs.Partitioners.DefaultPartitioner;
  const plain = client.producer({ createPartitioner });
  const transactional = client.producer({
    createPartitioner,
    transactionalId: 'a producer of events',
    maxInFlightRequests: 1,
    idempotent: true,
  });
  await plain.connect();
  await transactional.connect();
  const counted: string[] = [];
  for (const { name, type: compression } of FOREIGN_CODECS) {
    const send = (product: string) => ({
      topic: events.name,
      compression,
      messages: batchOf(product, Date.now()).map(({ value }) => ({ key: 'u1', value })),
    });
    if (BOMBS.includes(name))
      await plain.send({ topic: events.name, compression, messages: [{ key: 'u1', value: Buffer.alloc(BOMB_BYTES) }] });
    await plain.send(send(`plain ${name}`));
    const committed = await transactional.transaction();
    await committed.send(send(`transaction ${name}`));
    await committed.commit();
    const aborted = await transactional.transaction();
    await aborted.send(send(`aborted ${name}`));
    await aborted.abort();
    counted.push(`plain ${name}`, `transaction ${name}`);
  }
  await plain.disconnect();
  await transactional.disconnect();
  return counted;
}

/** Views per product, by name. */
async function viewsOf(log: Log): Promise<Map<string, number>> {
  const views = new Map<string, number>();
  await readAll(log, featureSet(1).topics.popularity.name, ({ key, value }) => {
    views.set(key!, (codec.decode('Popularity', value!) as Popularity).views);
  });
  return new Map([...views].sort());
}

function total(views: ReadonlyMap<string, number>): number {
  return [...views.values()].reduce((sum, count) => sum + count, 0);
}

async function oneLetterEach(log: Log, batches: number): Promise<void> {
  const poison = new Set<string>();
  await readAll(log, events.name, ({ partition, offset, value }) => {
    if (!isGood(value!)) poison.add(`${events.name}/${partition}/${offset}`);
  });
  assert.equal(poison.size, POISON_AT.length * batches + BOMBS.length);
  const letters: string[] = [];
  let unreadable = 0;
  await readAll(log, deadLetters.name, ({ value }) => {
    const { id, reason_code, error } = codec.decode('DeadLetter', value!) as DeadLetter;
    letters.push(id);
    if (reason_code === 'unreadable_batch') {
      unreadable++;
      assert.match(error, /a batch of 1 records, offsets \d+ to \d+, \d+ bytes: .*decompresses to more than/);
    }
  });
  assert.deepEqual(letters.sort(), [...poison].sort(), 'one dead letter each, at its own offset');
  assert.equal(unreadable, BOMBS.length);
}

function isGood(value: Buffer): boolean {
  try {
    return (codec.decode('Event', value) as Event).product_id !== 'never';
  } catch {
    return false;
  }
}
