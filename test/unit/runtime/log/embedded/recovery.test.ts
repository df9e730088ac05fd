/** Opening what a crash left behind: torn ends are cut, damage elsewhere stops with a sentence, nothing is guessed. */
import assert from 'node:assert/strict';
import { appendFile, cp, mkdir, open, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type EmbeddedLog, openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { decodeTransactionLog } from '../../../../../runtime/log/embedded/transaction-log.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { readRows } from '../../../../conformance/log-rows.js';
import { ManualClock } from '../../../../support/manual-clock.js';
import { FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, topicConfig } from './support.js';

const segment = (folder: string, partition: number, base = 0) =>
  `${folder}/topics/t/${partition}/${String(base).padStart(20, '0')}.log`;

/** Three commits of one row in each of two partitions. */
async function threeCommits(log: EmbeddedLog): Promise<void> {
  await log.admin.createTopic(topicConfig('t', { partitions: 2 }));
  const writer = await log.transactionalWriter('w', ['t']);
  await writer.init();
  for (let n = 0; n < 3; n++) {
    for (const partition of [0, 1]) writer.add('t', Buffer.from('k'), Buffer.from(`${n}`), { partition });
    await writer.commit();
  }
}

/** A folder as a kill leaves it: nothing was synced or closed. */
async function killedFolder(): Promise<string> {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  await threeCommits(await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 }));
  await disk.die();
  return folder;
}

/** A folder that was closed properly. */
async function closedFolder(): Promise<string> {
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger);
  await threeCommits(log);
  await log.close();
  return folder;
}

async function valuesIn(folder: string): Promise<string[]> {
  const log = await openEmbeddedLog(folder, silentLogger);
  const values = await Promise.all(
    [0, 1].map(async (partition) => (await readPartition(log, 't', partition)).map((row) => row.value).join('')),
  );
  await log.close();
  return values;
}

async function flipByte(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 0x55;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test('I14: any bytes after the last commit are cut off', async () => {
  const folder = await killedFolder();
  const whole = await readFile(segment(folder, 0));
  // A whole batch of a commit that was never noted, then half of one, then garbage.
  await appendFile(segment(folder, 0), whole);
  await appendFile(segment(folder, 1), whole.subarray(0, whole.length >> 1));
  await appendFile(`${folder}/transactions`, Buffer.from('half a note'));
  assert.deepEqual(await valuesIn(folder), ['012', '012']);
  assert.equal((await readFile(segment(folder, 0))).length, whole.length);
  const log = await openEmbeddedLog(folder, silentLogger);
  const writer = await log.writer(['t']);
  writer.add('t', Buffer.from('k'), Buffer.from('3'), { partition: 0 });
  await writer.flush();
  await log.close();
  assert.deepEqual(await valuesIn(folder), ['0123', '012']);
});

test('I14: a commit whose note is cut at any byte is gone from all partitions', async () => {
  const folder = await killedFolder();
  const transactions = await readFile(`${folder}/transactions`);
  const noted = (bytes: Buffer) => decodeTransactionLog(bytes)?.notes.length ?? -1;
  for (let end = transactions.length; end > 0 && noted(transactions.subarray(0, end)) >= 0; end -= 7) {
    const copy = await makeFolder();
    await cp(folder, copy, { recursive: true });
    await truncate(`${copy}/transactions`, end);
    const expected = '012'.slice(0, noted(transactions.subarray(0, end)));
    assert.deepEqual(await valuesIn(copy), [expected, expected], `the transaction log ends at byte ${end}`);
  }
  assert.equal(noted(transactions), 3);
});

test('I14: a commit that is damaged in one partition is removed from all, with all later ones', async () => {
  const folder = await killedFolder();
  const size = (await readFile(segment(folder, 1))).length;
  await flipByte(segment(folder, 1), Math.floor((size * 2) / 3) - 1);
  assert.deepEqual(await valuesIn(folder), ['0', '0']);
});

test('damage in synced data stops the opening with a sentence that names the file', async () => {
  const folder = await closedFolder();
  const size = (await readFile(segment(folder, 1))).length;
  await flipByte(segment(folder, 1), size >> 1);
  await assert.rejects(openEmbeddedLog(folder, silentLogger), (error: Error) => {
    assert.ok(hasCode(error, 'invalid_data'));
    assert.match(error.message, /topics\/t\/1\/0+\.log is damaged at byte \d+/);
    return true;
  });
});

test('a synced file that has shrunk stops the opening', async () => {
  const folder = await closedFolder();
  await truncate(segment(folder, 0), 10);
  await assert.rejects(openEmbeddedLog(folder, silentLogger), (error) => hasCode(error, 'invalid_data'));
});

test('damage in a closed segment is reported to the reader that finds it', async () => {
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger);
  await log.admin.createTopic(topicConfig('t', { settings: { 'segment.bytes': '1' } }));
  const writer = await log.writer(['t']);
  for (let n = 0; n < 3; n++) {
    writer.add('t', Buffer.from('k'), Buffer.alloc(100, n));
    await writer.flush();
  }
  await log.close();
  await flipByte(segment(folder, 0, 1), 100);
  const again = await openEmbeddedLog(folder, silentLogger);
  const reader = again.reader([{ topic: 't', partition: 0, offset: 0 }]);
  assert.equal((await reader.poll())[0]?.nextOffset, 1);
  await assert.rejects(reader.poll(), (error) => hasCode(error, 'invalid_data'));
  await again.close();
});

test('a missing transaction log or segment, or a newer format, stops the opening', async () => {
  for (const spoil of [
    (folder: string) => rm(`${folder}/transactions`),
    (folder: string) => writeFile(`${folder}/transactions`, 'nothing sensible'),
    (folder: string) => rm(segment(folder, 1)),
    (folder: string) => rename(segment(folder, 1), segment(folder, 1, 2)),
    (folder: string) => writeFile(`${folder}/format.json`, '{"format":3}'),
    (folder: string) => writeFile(`${folder}/topics/t/topic.json`, '{"id":'),
    (folder: string) => rm(`${folder}/topics/t/topic.json`),
  ]) {
    const folder = await closedFolder();
    await spoil(folder);
    await assert.rejects(openEmbeddedLog(folder, silentLogger), (error: Error) => {
      assert.ok(hasCode(error, 'invalid_data'), String(error));
      assert.match(error.message, new RegExp(folder));
      return true;
    });
  }
});

test('topics half created or half deleted are removed, stray files are not touched', async () => {
  const folder = await closedFolder();
  await mkdir(`${folder}/topics/~new-x/0`, { recursive: true });
  await mkdir(`${folder}/topics/~old-5/0`, { recursive: true });
  await writeFile(`${folder}/topics/.DS_Store`, 'x');
  await writeFile(`${folder}/topics/t/0/00000000000000000000.log.new`, 'half a compaction');
  await writeFile(`${folder}/topics/t/0/00000000000000000007.index`, 'of a file that is gone');
  assert.deepEqual(await valuesIn(folder), ['012', '012']);
  assert.deepEqual((await readdir(`${folder}/topics`)).sort(), ['.DS_Store', 't']);
  assert.deepEqual(await readdir(`${folder}/topics/t/0`), ['00000000000000000000.log']);
});

test('commits that included a deleted topic stay whole in the others', async () => {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  const log = await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 });
  await log.admin.createTopic(topicConfig('t', { partitions: 2 }));
  await log.admin.createTopic(topicConfig('other'));
  const writer = await log.transactionalWriter('w', ['t', 'other']);
  await writer.init();
  for (const topic of ['t', 'other']) writer.add(topic, Buffer.from('k'), Buffer.from('0'), { partition: 0 });
  await writer.commit();
  await log.admin.deleteTopic('other');
  await log.admin.createTopic(topicConfig('other'));
  await disk.die();
  assert.deepEqual(await valuesIn(folder), ['0', '']);
  const again = await openEmbeddedLog(folder, silentLogger);
  assert.equal((await again.offsets({ topic: 'other', partition: 0 })).highWatermark, 0);
  await again.close();
});

test('a long-lived transaction log is rewritten, stays small and stays true', async () => {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  const log = await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 });
  await log.admin.createTopic(topicConfig('t', { partitions: 2, settings: { 'segment.bytes': '50000' } }));
  const writer = await log.transactionalWriter('w', ['t']);
  await writer.init();
  let largest = 0;
  let n = 0;
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 700; i++, n++) {
      for (const partition of [0, 1]) writer.add('t', Buffer.from('k'), Buffer.from('v'), { partition });
      // Some commits continue during the sync, so that their notes must be carried over.
      if (i % 350 === 349) await Promise.all([log.maintain(), writer.commit()]);
      else await writer.commit();
    }
    largest = Math.max(largest, (await readFile(`${folder}/transactions`)).length);
  }
  assert.ok(
    largest > 130_000 && largest < 350_000,
    `the transaction log grew to ${largest} bytes, half a million was written`,
  );
  await disk.die();
  const again = await openEmbeddedLog(folder, silentLogger, { disk: new FaultyDisk() });
  for (const partition of [0, 1]) {
    assert.equal((await again.offsets({ topic: 't', partition })).highWatermark, n);
    assert.equal((await readPartition(again, 't', partition)).length, n);
  }
  await again.close();
});

test('log time does not go backwards when the clock does, even after reopening', async () => {
  const folder = await makeFolder();
  const config = topicConfig('t', { logAppendTime: true, settings: { 'segment.bytes': '1' } });
  const write = async (log: EmbeddedLog) => {
    const writer = await log.writer(['t']);
    writer.add('t', null, null);
    await writer.flush();
  };
  const log = await openEmbeddedLog(folder, silentLogger, { clock: new ManualClock(5000) });
  await log.admin.createTopic(config);
  await write(log);
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger, { clock: new ManualClock(3000) });
  await write(again);
  assert.deepEqual(
    (await readPartition(again, 't')).map((row) => row.timestamp),
    [5000, 5000],
  );
  await again.close();
});

test('indexes of closed segments are kept, and rebuilt when lost or wrong', async () => {
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger);
  await log.admin.createTopic(topicConfig('t', { settings: { 'segment.bytes': '200000' } }));
  const writer = await log.writer(['t']);
  for (let i = 0; i < 6000; i++) {
    writer.add('t', Buffer.from(`k${i}`), Buffer.alloc(100), { timestamp: 1000 + i });
    if (i % 100 === 99) await writer.flush();
  }
  await log.close();
  const names = (await readdir(`${folder}/topics/t/0`)).filter((name) => name.endsWith('.index'));
  assert.ok(names.length >= 3);
  await rm(`${folder}/topics/t/0/${names[0]}`);
  await flipByte(`${folder}/topics/t/0/${names[1]}`, 90);
  await truncate(`${folder}/topics/t/0/${names[2]}`, 100);
  const again = await openEmbeddedLog(folder, silentLogger);
  const place = { topic: 't', partition: 0 };
  for (let i = 0; i < 6000; i += 311) {
    assert.equal(await again.offsetForTime(place, 1000 + i), i);
    const reader = again.reader([{ ...place, offset: i }], { maxBytesPerPartition: 1000 });
    assert.equal((await readRows(reader, 1))[0]?.offset, i);
    await reader.close();
  }
  assert.equal((await readPartition(again, 't')).length, 6000);
  await again.close();
});
