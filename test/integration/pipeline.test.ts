/**
 * I6 on the real system: bad records between good ones on Kafka, through processors, Redis and Postgres to HTTP. Each
 * bad one is kept, in its topic and in Postgres; every good one counts.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { removePrivateStores } from '../../runtime/stores/open-stores.js';
import { avroType, Codec } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { partitionOf } from '../../topics/partition.js';
import { Deployment } from '../support/deployment.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';

const PARTITIONS = 3;
const DAY_MS = 86_400_000;
const codec = new Codec();

test('I6: bad records on Kafka become one dead letter each, the year 1970 a late event, and the stream continues', {
  timeout: 180_000,
}, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'freshet-pipeline-'));
  const settings = { KAFKA_BROKERS: broker.address, PARTITIONS: String(PARTITIONS), FRESHET_DATA_DIR: folder };
  const deployment = new Deployment({ ...settings, PORT: '0', LOG_LEVEL: 'warn' });
  const log = await openKafkaLog(loadSettings(settings), silentLogger);
  try {
    await deployment.start();
    const reasons = await sendGoodAndBad(log);
    type Popularity = { views: number };
    await deployment.until(
      async () => (await deployment.get<Popularity>('/v1/products/p1/popularity')).views === reasons.length + 1,
      'every good event counted',
    );
    const letters = await deployment.read<{ reason_code: string }>('dead-letters', reasons.length);
    assert.deepEqual(letters.map(({ reason_code }) => reason_code).sort(), reasons.sort());
    const late = await deployment.read<{ event_ts: number }>('late-events', 1);
    assert.deepEqual(
      late.map(({ event_ts }) => event_ts),
      [DAY_MS],
    );
    const tooLarge = await fetch(`${deployment.address}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ ...good(), product_id: 'x'.repeat(2_000_000) }]),
    });
    assert.equal(tooLarge.status, 413);
  } finally {
    await log.close();
    await deployment.stop();
    await broker.stop();
    await removePrivateStores(folder);
    await rm(folder, { recursive: true, force: true });
  }
});

let made = 0;
function good(over: Partial<Record<keyof Event, unknown>> = {}): Event {
  made++;
  const event = {
    event_id: `e${made}`,
    user_id: 'u1',
    product_id: 'p1',
    category: 'hats',
    event_type: 'view',
    ts: Date.now(),
  };
  return { ...event, ...over } as Event;
}

/** One bad record of each kind, each followed by a good one; returns the expected reasons, without the late event. */
async function sendGoodAndBad(log: Log): Promise<string[]> {
  const home = partitionOf(PARTITIONS, Buffer.from('u1'));
  const encode = (event: Event) => codec.encode('Event', event);
  const popularity = { product_id: 'p', category: 'c', score: 1, as_of: 1, views: 1, add_to_carts: 0, purchases: 0 };
  const bad: [string, Buffer, number?][] = [
    ['unknown_framing', Buffer.from('poison')],
    ['unknown_schema', Buffer.from([0, 0, 0, 1, 44, 2, 2])],
    ['undecodable', codec.encode('Popularity', popularity)],
    ['undecodable', Buffer.concat([codec.prefix('Event'), avroType('Event').toBuffer(good()).subarray(0, -3)])],
    ['id_too_long', encode(good({ product_id: 'p'.repeat(300) }))],
    ['unknown_event_type', encode(good({ event_type: 'gaze' }))],
    ['wrong_partition', encode(good()), (home + 1) % PARTITIONS],
    ['future', encode(good({ ts: Date.now() + DAY_MS }))],
  ];
  const writer = await log.writer([events.name]);
  const key = Buffer.from('u1');
  writer.add(events.name, key, encode(good({ ts: DAY_MS })));
  for (const [, value, partition] of bad) {
    writer.add(events.name, key, value, partition === undefined ? {} : { partition });
    writer.add(events.name, key, encode(good()));
  }
  writer.add(events.name, key, encode(good()));
  await writer.flush();
  await writer.close();
  return bad.map(([reason]) => reason);
}
