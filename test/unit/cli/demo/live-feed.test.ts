import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTraffic } from '../../../../cli/demo/live-feed.js';
import { createShop } from '../../../../cli/demo/shop.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Event } from '../../../../schemas/records.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { ScriptedLog, written } from '../../../support/scripted-log.js';

const NOW_MS = Date.UTC(2026, 4, 20, 15, 30);
const shop = createShop(1, NOW_MS);
const codec = new Codec();

async function begin(ratePerSecond = 100) {
  const log = await ScriptedLog.of(['events']);
  const clock = new ManualClock(NOW_MS);
  const service = startTraffic({ log, codec, shop, ratePerSecond, logger: silentLogger, clock });
  return { log, clock, service };
}

/** Runs everything that waits only for a promise. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

async function advance(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    clock.advance(100);
    await settle();
  }
}

async function eventsIn(log: ScriptedLog): Promise<Event[]> {
  return (await written(log, 'events')).map(({ value }) => codec.decode('Event', value!) as Event);
}

test('events flow every tenth of a second at the rate, keyed by user', async () => {
  const { log, clock, service } = await begin();
  await service.start();
  await advance(clock, 10_000);
  await service.stop();
  const events = await eventsIn(log);
  assert.ok(events.length > 850 && events.length < 1_150, String(events.length));
  assert.ok(log.flushes.length >= 95 && log.flushes.length <= 100, String(log.flushes.length));
  for (const [index, { key }] of (await written(log, 'events')).entries()) assert.equal(key, events[index]!.user_id);
  assert.equal(log.writersOpen, 0);
});

test('nothing is sent after stop; stopping twice or before the start is harmless', async () => {
  const { log, clock, service } = await begin();
  await service.start();
  await advance(clock, 500);
  await service.stop();
  await service.stop();
  const sent = (await written(log, 'events')).length;
  await advance(clock, 500);
  assert.equal((await written(log, 'events')).length, sent);
  const other = await begin();
  await other.service.stop();
  await other.service.start();
  assert.equal(other.log.writersOpened, 0);
});

test('events that the log may have refused are sent again, so that none is missing', async () => {
  const { log, clock, service } = await begin();
  await service.start();
  await advance(clock, 300);
  const before = (await written(log, 'events')).length;
  for (let i = 0; i < 3; i++) log.flushFailures.push(new FreshetError('connection', 'away'));
  await advance(clock, 5_000);
  await service.stop();
  const events = await eventsIn(log);
  assert.ok(events.length > before + 300, String(events.length));
  const places = new Set(events.map(({ event_id }) => Number.parseInt(event_id.split('-').at(-1)!, 36)));
  const missing = Array.from({ length: Math.max(...places) + 1 }, (_, i) => i).filter((i) => !places.has(i));
  assert.deepEqual(missing, []);
});

test('a flush that hangs does not hold up the stop', async () => {
  const { log, clock, service } = await begin();
  await service.start();
  const held = log.holdNext();
  await advance(clock, 200);
  await held.begun;
  const stopped = service.stop();
  await settle();
  clock.advance(1_000);
  await settle();
  assert.equal(log.writersOpen, 0, 'the writer was closed although its flush was in progress');
  held.release();
  await stopped;
});

test('a rate of 0 sends nothing', async () => {
  const { log, clock, service } = await begin(0);
  await service.start();
  await advance(clock, 1_000);
  await service.stop();
  assert.equal(log.writersOpened, 0);
});
