import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadOptions, loadHistory, type Marker } from '../../../../cli/demo/feeder.js';
import { history } from '../../../../cli/demo/history.js';
import { createShop, documents } from '../../../../cli/demo/shop.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Event, Product } from '../../../../schemas/records.js';
import { append, ScriptedLog, written } from '../../../support/scripted-log.js';

const NOW_MS = Date.UTC(2026, 4, 20, 15, 30);
const TOPICS = ['events', 'products', 'users', 'documents'];
const shop = createShop(1, NOW_MS);
const expected = [...history(shop)].map(({ event_id }) => event_id);
const codec = new Codec();

function memoryMarker(text: string | null = null): Marker & { text: string | null } {
  return {
    text,
    async read() {
      return this.text;
    },
    async write(next) {
      this.text = next;
    },
  };
}

function load(log: ScriptedLog, marker: Marker, overrides: Partial<LoadOptions> = {}) {
  return loadHistory({ log, codec, shop, logger: silentLogger, marker, ...overrides });
}

/** The log accepts this many flushes and then no more. */
function breakAfter(log: ScriptedLog, flushes: number): void {
  for (let i = 0; i < flushes; i++) log.holdNext().release();
  log.failNext(new FreshetError('access', 'no more today'));
}

async function idsIn(log: ScriptedLog): Promise<string[]> {
  return (await written(log, 'events')).flatMap(({ value }) =>
    value === null || value.toString() === 'poison' ? [] : [(codec.decode('Event', value) as Event).event_id],
  );
}

async function assertHoldsEachEventOnce(log: ScriptedLog): Promise<void> {
  const ids = await idsIn(log);
  assert.equal(ids.length, expected.length);
  assert.deepEqual(new Set(ids), new Set(expected));
}

/** One complete load, shared by several tests, because creating it takes a second. */
const whole = await ScriptedLog.of(TOPICS);
const marker = memoryMarker();
let told = 0;
const loaded = await load(whole, marker, {
  onWritten: (records) => {
    told += records;
  },
});

test('everything reaches the log, in batches, and the end offsets are returned', async () => {
  assert.equal(loaded.events, expected.length);
  await assertHoldsEachEventOnce(whole);
  assert.equal((await written(whole, 'products')).length, shop.products.length);
  assert.equal((await written(whole, 'users')).length, shop.shoppers.length);
  assert.equal((await written(whole, 'documents')).length, documents(shop).length);
  assert.ok(Math.max(...whole.flushes) <= 10_000 && whole.flushes.length > 10);
  assert.equal(
    told,
    whole.flushes.reduce((a, b) => a + b),
  );
  assert.equal(
    loaded.endOffsets.map(({ offset }) => offset).reduce((a, b) => a + b),
    expected.length,
  );
  assert.equal(whole.writersOpen, 0);
  assert.equal(whole.readersOpen, 0);
});

test('a lost marker does not load anything twice', async () => {
  const forgetful = memoryMarker();
  const again = await load(whole, forgetful);
  assert.equal(again.events, 0);
  await assertHoldsEachEventOnce(whole);
  assert.equal(forgetful.text, marker.text);
});

test('a second start writes nothing and returns the same end offsets, even if the log has grown', async () => {
  await append(whole, 'events', Buffer.from('somebody'), null);
  const flushes = whole.flushes.length;
  const second = await load(whole, marker, { shop: createShop(1, NOW_MS + 86_400_000) });
  assert.equal(whole.flushes.length, flushes);
  assert.deepEqual(second, { shop, events: 0, endOffsets: loaded.endOffsets });
});

test('an interrupted load continues where it stopped, days later and with another seed', async () => {
  const log = await ScriptedLog.of(TOPICS);
  const marker = memoryMarker();
  breakAfter(log, 7);
  await assert.rejects(load(log, marker), /no more today/);
  const before = (await idsIn(log)).length;
  assert.ok(before > 50_000 && before < expected.length);
  assert.equal(marker.text, null);
  const resumed = await load(log, marker, { shop: createShop(9, NOW_MS + 3 * 86_400_000) });
  assert.equal(resumed.shop.seed, 1);
  assert.equal(resumed.events, expected.length - before);
  await assertHoldsEachEventOnce(log);
});

test('partitions that stopped at different places are each completed', async () => {
  const all = await written(whole, 'events');
  const log = await ScriptedLog.of(TOPICS);
  const writer = await log.writer(['events']);
  for (const partition of [0, 1, 2, 3]) {
    const own = all.filter((record) => record.partition === partition);
    for (const { key, value } of own.slice(0, partition * 9_000)) writer.add('events', Buffer.from(key!), value);
  }
  await writer.flush();
  // Others write in between: an event of a shop, an erasure request, and a record that is not an event.
  const foreign = { event_id: 'x', user_id: 'u-1', product_id: 'p', category: null, event_type: 'view', ts: NOW_MS };
  await append(log, 'events', Buffer.from('u-1'), codec.encode('Event', foreign));
  await append(log, 'events', Buffer.from('u-2'), null);
  await append(log, 'events', Buffer.from('u-3'), Buffer.from('poison'));
  await load(log, memoryMarker());
  const ids = await idsIn(log);
  assert.equal(ids.length, expected.length + 1);
  assert.deepEqual(new Set(ids), new Set([...expected, 'x']));
});

test('a marker of another log is ignored', async () => {
  const log = await ScriptedLog.of(TOPICS);
  await load(log, memoryMarker(marker.text));
  await assertHoldsEachEventOnce(log);
});

test('a damaged marker is reported with what to do', async () => {
  for (const text of ['', '{', '{"seed":1}', '"x"'])
    await assert.rejects(load(await ScriptedLog.of(TOPICS), memoryMarker(text)), /delete it/);
});

test('a briefly unreachable log is retried, without duplicates', async () => {
  const log = await ScriptedLog.of(TOPICS);
  log.failNext(new FreshetError('connection', 'away'));
  await load(log, memoryMarker());
  await assertHoldsEachEventOnce(log);
});

test('an abort ends the load', async () => {
  const stopping = new AbortController();
  const loading = load(await ScriptedLog.of(TOPICS), memoryMarker(), {
    signal: stopping.signal,
    onWritten: () => stopping.abort(),
  });
  await assert.rejects(loading, { name: 'AbortError' });
});

test('products are in the log before the first event', async () => {
  const log = await ScriptedLog.of(TOPICS);
  breakAfter(log, 1);
  await assert.rejects(load(log, memoryMarker()), /no more today/);
  const products = (await written(log, 'products')).map(
    ({ value }) => (codec.decode('Product', value!) as Product).product_id,
  );
  assert.deepEqual(new Set(products), new Set(shop.products.map(({ product_id }) => product_id)));
  assert.equal((await written(log, 'events')).length, 0);
});
