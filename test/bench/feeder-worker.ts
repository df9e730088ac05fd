/** Sends the load at a steady rate until it is asked to end, from a separate process. */
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { createLogger } from '../../runtime/process/logger.js';
import { load } from '../support/load.js';
import { input, tell } from './worker.js';

export interface FeederInput {
  readonly brokers: string;
  readonly eventsPerSecond: number;
  readonly seconds: number;
  readonly users: number;
  readonly products: number;
  readonly seed: number;
}

export interface FeederDone {
  readonly kind: 'done';
  readonly eventsPerSecond: number;
}

const TICK_MS = 10;

const { brokers, eventsPerSecond, seconds, users, products, seed } = await input<FeederInput>();
const log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: brokers }), createLogger('warn'));
const writer = await log.writer(['events']);
const now = Date.now();
const events = Math.round(eventsPerSecond * seconds);
const chunks = load({ events, users, products, seed, startMs: now, endMs: now, disorder: 0 });
// The first chunk builds the generator's tables, which must not count towards the rate.
let next = chunks.next();
const started = performance.now();
let sent = 0;
tell({ kind: 'started' });
for (; !next.done; next = chunks.next()) {
  const chunk = next.value;
  const { bytes, keyStart, keyEnd, valueStart, valueEnd } = chunk;
  for (let i = 0; i < chunk.count; ) {
    const due = Math.floor(((performance.now() - started) / 1000) * eventsPerSecond) - sent;
    const end = Math.min(chunk.count, i + Math.max(0, due));
    for (; i < end; i++, sent++) {
      const key = bytes.subarray(keyStart[i]!, keyEnd[i]!);
      writer.add('events', key, bytes.subarray(valueStart[i]!, valueEnd[i]!));
    }
    await writer.flush();
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}
const done: FeederDone = { kind: 'done', eventsPerSecond: sent / ((performance.now() - started) / 1000) };
tell(done);
await writer.close();
await log.close();
