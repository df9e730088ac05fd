/**
 * Compaction against a model: the latest value of every key stays, every record left is unchanged, and a crash at any
 * step makes no difference to a reader.
 */
import assert from 'node:assert/strict';
import { cp, readdir, rm, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { type EmbeddedLog, openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import type { Log } from '../../../../../runtime/log/log.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { type Row, rowsOf } from '../../../../conformance/log-rows.js';
import { ManualClock } from '../../../../support/manual-clock.js';
import { Random } from '../../../../support/random.js';
import { FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, tableOf, topicConfig } from './support.js';

const PLACE = { topic: 't', partition: 0 };
/** Every round closes and compacts all segments. */
const EAGER = { 'segment.ms': '1', 'min.cleanable.dirty.ratio': '0', 'delete.retention.ms': '1000' };

async function put(log: Log, clock: ManualClock, pairs: readonly (readonly [string, string | null])[]): Promise<Row[]> {
  const writer = await log.writer(['t']);
  const { highWatermark } = await log.offsets(PLACE);
  const timestamp = clock.now();
  for (const [key, value] of pairs)
    writer.add('t', Buffer.from(key), value === null ? null : Buffer.from(value), { timestamp });
  await writer.flush();
  await writer.close();
  return pairs.map(([key, value], i) => ({ ...PLACE, offset: highWatermark + i, timestamp, key, value }));
}

async function settle(log: EmbeddedLog, clock: ManualClock): Promise<void> {
  clock.advance(1);
  await log.maintain();
}

const plain = (rows: readonly Row[]) => rows.map(({ key, value }) => `${key}=${value}`);

test('random writes, rounds and reopenings: the table stays right and the remaining records are unchanged', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = new Random(seed);
    const folder = await makeFolder();
    const clock = new ManualClock(1_000_000);
    const options = { clock, disk: new FaultyDisk(), syncIntervalMs: 1_000_000 };
    const segmentBytes = String(200 + random.below(3000));
    let log = await openEmbeddedLog(folder, silentLogger, options);
    await log.admin.createTopic(
      topicConfig('t', { cleanup: 'compact', settings: { ...EAGER, 'segment.bytes': segmentBytes } }),
    );
    const written: Row[] = [];
    for (let step = 0; step < 60; step++) {
      const pairs = Array.from({ length: 1 + random.below(20) }, (): [string, string | null] => [
        `key-${random.below(15)}`,
        random.below(5) === 0 ? null : 'v'.repeat(random.below(30)) + step,
      ]);
      written.push(...(await put(log, clock, pairs)));
      clock.advance(random.below(200));
      if (random.below(4) === 0) {
        await settle(log, clock);
        const rows = await readPartition(log, 't');
        for (const row of rows) assert.deepEqual(row, written[row.offset], `seed ${seed}`);
        assert.deepEqual(tableOf(rows), tableOf(written), `seed ${seed}`);
        // All segments were closed: no record is left that a later one has replaced.
        const keys = rows.map((row) => row.key);
        assert.equal(new Set(keys).size, keys.length, `seed ${seed}: ${plain(rows).join(' ')}`);
        assert.equal((await log.offsets(PLACE)).highWatermark, written.length);
        assert.equal((await log.offsets(PLACE)).earliest, 0);
      }
      if (random.below(12) === 0) {
        await log.close();
        log = await openEmbeddedLog(folder, silentLogger, options);
      }
    }
    await log.close();
  }
});

test('I14: a crash at any step of a round leaves the log as it was before or after it', async () => {
  const original = await makeFolder();
  const clock = new ManualClock(1_000_000);
  const settings = { ...EAGER, 'segment.bytes': '700' };
  const before = await openEmbeddedLog(original, silentLogger, { clock, disk: new FaultyDisk() });
  await before.admin.createTopic(topicConfig('t', { cleanup: 'compact', settings }));
  const written: Row[] = [];
  for (let step = 0; step < 12; step++) {
    const value = (i: number) => (i % 7 === 3 ? null : `value ${step} ${i}`);
    const pairs = Array.from({ length: 12 }, (_, i): [string, string | null] => [`k${(i * step) % 17}`, value(i)]);
    written.push(...(await put(before, clock, pairs)));
    if (step === 5) await settle(before, clock);
  }
  await before.close();
  clock.advance(5000);

  const folder = await makeFolder();
  for (let step = 1; ; step++) {
    await cp(original, folder, { recursive: true, force: true });
    const disk = new FaultyDisk();
    const dying = await openEmbeddedLog(folder, silentLogger, { clock, disk });
    disk.diesAtOperation = disk.operations + step;
    const finished = await dying.maintain().then(
      () => true,
      () => false,
    );
    assert.equal(finished, !disk.dead);
    await disk.die();
    const log = await openEmbeddedLog(folder, silentLogger, { clock, disk: new FaultyDisk() });
    const rows = await readPartition(log, 't');
    for (const row of rows) assert.deepEqual(row, written[row.offset], `step ${step}`);
    assert.deepEqual(tableOf(rows), tableOf(written), `step ${step}`);
    await settle(log, clock);
    const again = await readPartition(log, 't');
    assert.deepEqual(tableOf(again), tableOf(written), `step ${step}, and another round`);
    assert.equal(new Set(again.map((row) => row.key)).size, again.length);
    const names = await readdir(`${folder}/topics/t/0`);
    assert.deepEqual(
      names.filter((name) => name.endsWith('.swap') || name.endsWith('.new')),
      [],
    );
    await log.close();
    await rm(folder, { recursive: true });
    if (finished) {
      assert.ok(step > 30, `the round was too short to test anything: ${step} operations`);
      break;
    }
  }
});

test('the next round finishes a swap that failed half way, and readers see the new file meanwhile', async () => {
  const folder = await makeFolder();
  const clock = new ManualClock(1000);
  const disk = new FaultyDisk();
  const log = await openEmbeddedLog(folder, silentLogger, { clock, disk });
  await log.admin.createTopic(topicConfig('t', { cleanup: 'compact', settings: EAGER }));
  for (let i = 0; i < 6; i++) {
    await put(log, clock, [['k', `${i}`]]);
    clock.advance(1);
  }
  disk.refuse = (operation, path) =>
    operation === 'remove' && path.endsWith('.log') ? new Error('EPERM: not permitted') : null;
  await assert.rejects(settle(log, clock), /EPERM/);
  assert.deepEqual(plain(await readPartition(log, 't')), ['k=5']);
  disk.refuse = () => null;
  await put(log, clock, [['k', '6']]);
  await settle(log, clock);
  assert.deepEqual(plain(await readPartition(log, 't')), ['k=6']);
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger, { clock });
  assert.deepEqual(plain(await readPartition(again, 't')), ['k=6']);
  await again.close();
});

async function openTopic(settings: Record<string, string>, cleanup: 'compact' | 'compact,delete' = 'compact') {
  const folder = await makeFolder();
  const clock = new ManualClock(1_000_000_000);
  const open = () => openEmbeddedLog(folder, silentLogger, { clock, disk: new FaultyDisk() });
  const log = await open();
  await log.admin.createTopic(topicConfig('t', { cleanup, settings }));
  const rows = async () => plain(await readPartition(log, 't'));
  const reopen = async () => {
    await log.close();
    return open();
  };
  return { folder, clock, log, rows, reopen };
}

test('a tombstone stays for delete.retention.ms from the round that first saw it, then goes', async () => {
  const { clock, log, rows } = await openTopic(EAGER);
  await put(log, clock, [
    ['a', '1'],
    ['b', '1'],
  ]);
  await put(log, clock, [['a', null]]);
  clock.advance(50_000);
  await settle(log, clock);
  assert.deepEqual(await rows(), ['b=1', 'a=null'], 'older than the retention, but its value was removed only now');
  clock.advance(900);
  await put(log, clock, [
    ['c', '1'],
    ['b', null],
  ]);
  await settle(log, clock);
  assert.deepEqual(await rows(), ['a=null', 'c=1', 'b=null']);
  clock.advance(200);
  await settle(log, clock);
  assert.deepEqual(await rows(), ['c=1', 'b=null'], 'the first has expired, the second has not');
  clock.advance(1000);
  await settle(log, clock);
  assert.deepEqual(await rows(), ['c=1']);
  await log.close();
});

test('values that a reader needs are not replaced while it is open', async () => {
  const { clock, log, rows, reopen } = await openTopic(EAGER);
  await put(log, clock, [['a', '1']]);
  await put(log, clock, [['a', '2']]);
  const { highWatermark: until } = await log.offsets(PLACE);
  const reader = log.reader([{ ...PLACE, offset: 0, until }]);
  clock.advance(1);
  await put(log, clock, [['a', '3']]);
  await settle(log, clock);
  assert.deepEqual(await rows(), ['a=2', 'a=3'], 'what it does not need goes');
  assert.equal((await log.offsets(PLACE)).compacted, until);
  await reader.close();
  await put(log, clock, [['a', '4']]);
  await settle(log, clock);
  assert.deepEqual(await rows(), ['a=4']);
  assert.throws(
    () => log.reader([{ ...PLACE, offset: 0, until }]),
    (error) => hasCode(error, 'offset_out_of_range'),
  );
  const again = await reopen();
  assert.equal((await again.offsets(PLACE)).compacted, 4, 'it is known after a restart');
  await again.close();
});

test('a compacted topic that is written for ever stays at a few times its live data', async () => {
  const { clock, log, folder } = await openTopic({ 'segment.ms': '600000', 'min.compaction.lag.ms': '21600000' });
  const value = 'v'.repeat(2000);
  const live = 200 * value.length;
  let largest = 0;
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 10; i++)
      await put(
        log,
        clock,
        Array.from({ length: 60 }, (_, n): [string, string] => [`k${(round * 600 + i * 60 + n) % 200}`, value]),
      );
    clock.advance(15_000);
    await log.maintain();
    const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.log'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(`${folder}/${name}`)).size));
    largest = Math.max(
      largest,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  }
  const written = 40 * 600 * value.length;
  const bound = 4 * live + 1024 * 1024 + 600 * value.length;
  assert.ok(largest < bound, `${largest} bytes, ${bound} allowed, ${written} written`);
  await log.close();
});

test('compaction waits for enough to do, but no longer than max.compaction.lag.ms', async () => {
  const { clock, log, rows } = await openTopic({
    'segment.ms': '1000',
    'min.cleanable.dirty.ratio': '0.5',
    'max.compaction.lag.ms': '100000',
  });
  const many = Array.from({ length: 100 }, (_, i): [string, string] => [`k${i}`, '1']);
  await put(log, clock, many);
  clock.advance(1000);
  await log.maintain();
  await put(log, clock, [['k0', '2']]);
  clock.advance(1000);
  await log.maintain();
  assert.equal((await rows()).length, 101, 'one record in a hundred is not worth a round');
  clock.advance(99_000);
  await log.maintain();
  assert.equal((await rows()).length, 100);
  assert.ok(!(await rows()).includes('k0=1'));
  await log.close();
});

test('small segments are joined, and the log shrinks', async () => {
  const { folder, clock, log } = await openTopic({ ...EAGER, 'segment.bytes': '100000' });
  for (let i = 0; i < 60; i++) {
    await put(
      log,
      clock,
      Array.from({ length: 20 }, (_, k): [string, string] => [`k${k}`, `${i}`.repeat(10)]),
    );
    clock.advance(10);
  }
  const files = async () => (await readdir(`${folder}/topics/t/0`)).filter((name) => name.endsWith('.log'));
  assert.equal((await files()).length, 60);
  await settle(log, clock);
  assert.equal((await files()).length, 2, 'one compacted segment and the empty active one');
  assert.ok((await stat(`${folder}/topics/t/0/${(await files())[0]}`)).size < 2000);
  assert.equal((await readPartition(log, 't')).length, 20);
  await log.close();
});

test('a null key is refused by a compacted topic', async () => {
  const { log } = await openTopic({});
  const writer = await log.writer(['t']);
  assert.throws(() => writer.add('t', null, Buffer.from('v')), /without a key/);
  await log.close();
});

test('with compact,delete old segments go as well', async () => {
  const { clock, log, rows } = await openTopic({ ...EAGER, 'segment.bytes': '80' }, 'compact,delete');
  await log.admin.createTopic(
    topicConfig('u', { cleanup: 'compact,delete', retentionMs: 5000, settings: { ...EAGER, 'segment.bytes': '80' } }),
  );
  const writer = await log.writer(['t', 'u']);
  for (let i = 0; i < 3; i++) {
    for (const topic of ['t', 'u']) writer.add(topic, Buffer.from(`k${i}`), Buffer.from('v'));
    await writer.flush();
    clock.advance(2000);
  }
  await settle(log, clock);
  assert.deepEqual(await rows(), ['k0=v', 'k1=v', 'k2=v'], 'no retention, nothing goes');
  assert.deepEqual(plain(await readPartition(log, 'u')), ['k1=v', 'k2=v']);
  await log.close();
});

test('a topic deleted and recreated during a round has only new records', async () => {
  const { folder, clock, log } = await openTopic(EAGER);
  for (let life = 0; life < 15; life++) {
    for (let i = 0; i < 6; i++) {
      await put(log, clock, [['old', `${life} ${i}`]]);
      clock.advance(1);
    }
    const round = log.maintain();
    await log.admin.deleteTopic('t');
    await log.admin.createTopic(topicConfig('t', { cleanup: 'compact', settings: EAGER }));
    await put(log, clock, [['new', `${life}`]]);
    await round;
    assert.deepEqual(plain(await readPartition(log, 't')), [`new=${life}`]);
  }
  await log.close();
  assert.deepEqual(await readdir(`${folder}/topics`), ['t']);
});

test('readers that run during rounds and writes end with the right table', async () => {
  const { clock, log } = await openTopic({ ...EAGER, 'segment.bytes': '3000', 'delete.retention.ms': '1000000' });
  const random = new Random(3);
  const written: Row[] = [];
  let done = false;
  const writing = (async () => {
    for (let step = 0; step < 150; step++) {
      const pairs = Array.from({ length: 20 }, (): [string, string | null] => [
        `key-${random.below(50)}`,
        random.below(6) === 0 ? null : `value ${step}`,
      ]);
      written.push(...(await put(log, clock, pairs)));
      clock.advance(1);
    }
    done = true;
  })();
  const maintaining = (async () => {
    while (!done) await settle(log, clock);
  })();
  const readers = [300, 2000, 50_000].map(async (maxBytesPerPartition) => {
    for (let round = 0; round < 3; round++) {
      const reader = log.reader([{ ...PLACE, offset: 0 }], { maxBytesPerPartition, maxWaitMs: 5 });
      const rows: Row[] = [];
      while (!done || reader.position(PLACE) < written.length)
        for (const columns of await reader.poll()) rows.push(...rowsOf(columns));
      for (const [i, row] of rows.entries()) {
        assert.deepEqual(row, written[row.offset]);
        assert.ok(i === 0 || row.offset > rows[i - 1]!.offset);
      }
      assert.deepEqual(tableOf(rows), tableOf(written));
      await reader.close();
    }
  });
  await Promise.all([writing, maintaining, ...readers]);
  await log.close();
});
