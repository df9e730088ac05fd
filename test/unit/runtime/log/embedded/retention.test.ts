/** What time removes: closed segments, oldest first; the start of the log moves with them. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { ManualClock } from '../../../../support/manual-clock.js';
import { FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, topicConfig } from './support.js';

const PLACE = { topic: 't', partition: 0 };

async function openTopic(retentionMs: number, settings: Record<string, string>, logAppendTime = false) {
  const folder = await makeFolder();
  const clock = new ManualClock(1_000_000_000);
  const options = { clock, disk: new FaultyDisk() };
  const log = await openEmbeddedLog(folder, silentLogger, options);
  await log.admin.createTopic(topicConfig('t', { retentionMs, logAppendTime, settings }));
  const writer = await log.writer(['t']);
  const put = async (value: string, timestamp?: number) => {
    writer.add('t', Buffer.from('k'), Buffer.from(value), timestamp === undefined ? {} : { timestamp });
    await writer.flush();
  };
  const values = async (of = log) => (await readPartition(of, 't')).map((row) => row.value).join('');
  const files = async () => (await readdir(`${folder}/topics/t/0`)).filter((name) => name.endsWith('.log'));
  return { folder, options, clock, log, put, values, files };
}

test('segments are removed when all their records are older than the retention, and the start moves', async () => {
  const { folder, options, clock, log, put, values } = await openTopic(10_000, { 'segment.bytes': '1' });
  for (const value of ['0', '1', '2', '3']) {
    await put(value);
    clock.advance(4000);
  }
  await log.maintain();
  assert.equal(await values(), '23', 'written 16, 12, 8 and 4 s ago');
  const { earliest, highWatermark } = await log.offsets(PLACE);
  assert.deepEqual([earliest, highWatermark], [2, 4]);
  const reader = log.reader([{ ...PLACE, offset: 1 }]);
  await assert.rejects(reader.poll(), (error) => hasCode(error, 'offset_out_of_range'));
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger, options);
  assert.equal(await values(again), '23');
  assert.equal((await again.offsets(PLACE)).earliest, 2);
  await again.close();
});

test('an idle topic empties itself, and its offsets continue', async () => {
  const { folder, options, clock, log, put, files } = await openTopic(10_000, {}, true);
  await put('0');
  await put('1');
  clock.advance(10_001);
  await log.maintain();
  assert.deepEqual(await log.offsets(PLACE), { earliest: 2, lastStable: 2, highWatermark: 2 });
  assert.equal((await files()).length, 1);
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger, options);
  const writer = await again.writer(['t']);
  writer.add('t', Buffer.from('k'), Buffer.from('2'));
  await writer.flush();
  const [row] = await readPartition(again, 't');
  assert.deepEqual([row!.offset, row!.value], [2, '2']);
  await again.close();
});

test('a record with a late time keeps its segment and all later ones', async () => {
  const { clock, log, put, values } = await openTopic(10_000, { 'segment.bytes': '1' });
  const now = clock.now();
  await put('0', now - 20_000);
  await put('1', now + 5000);
  await put('2', now - 20_000);
  await put('3');
  clock.advance(1);
  await log.maintain();
  assert.equal(await values(), '123');
  clock.advance(15_001);
  await log.maintain();
  assert.equal(await values(), '');
  await log.close();
});

test('retention.bytes keeps at least that much', async () => {
  const { log, put, values } = await openTopic(-1, { 'segment.bytes': '1', 'retention.bytes': '250' });
  for (let i = 0; i < 8; i++) await put(String(i));
  await log.maintain();
  const kept = await values();
  assert.ok(kept.length >= 3 && kept.length < 8 && kept.endsWith('7'), kept);
  await log.close();
});

test('segment.ms closes a segment by the time of its first record, also across a reopening', async () => {
  const { folder, options, clock, log, put, files } = await openTopic(-1, { 'segment.ms': '10000' });
  await put('0');
  clock.advance(6000);
  await put('1');
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger, options);
  const writer = await again.writer(['t']);
  clock.advance(3999);
  writer.add('t', Buffer.from('k'), Buffer.from('2'));
  await writer.flush();
  assert.equal((await files()).length, 1);
  clock.advance(1);
  writer.add('t', Buffer.from('k'), Buffer.from('3'));
  await writer.flush();
  assert.equal((await files()).length, 2);
  await again.close();
});

test('records deleted up to an offset stay deleted, and segments without other records are removed', async () => {
  const { folder, options, log, put, values, files } = await openTopic(-1, { 'segment.bytes': '150' });
  for (let i = 0; i < 9; i++) await put(String(i));
  const before = (await files()).length;
  await log.deleteRecords(PLACE, 5);
  assert.equal(await values(), '5678');
  assert.equal((await log.offsets(PLACE)).earliest, 5);
  assert.equal(await log.offsetForTime(PLACE, 0), 5);
  assert.ok((await files()).length < before);
  await log.deleteRecords(PLACE, 3);
  assert.equal((await log.offsets(PLACE)).earliest, 5, 'the start never moves back');
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger, options);
  assert.equal(await values(again), '5678');
  await again.deleteRecords(PLACE, 1000);
  assert.deepEqual(await again.offsets(PLACE), { earliest: 9, lastStable: 9, highWatermark: 9 });
  await again.close();
});

test('a reader in a segment that is removed gets an error that its offset is gone', async () => {
  const { clock, log, put } = await openTopic(10_000, {});
  for (let i = 0; i < 50; i++) await put('x'.repeat(1000));
  const reader = log.reader([{ ...PLACE, offset: 0 }], { maxBytesPerPartition: 3000 });
  await reader.poll();
  clock.advance(20_000);
  await log.maintain();
  await assert.rejects(reader.poll(), (error) => hasCode(error, 'offset_out_of_range'));
  await log.close();
});
