/** A disk that refuses: the writer gets an error, readers notice nothing, and all continues once there is space. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { FreshetError, hasCode, isTransient } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, topicConfig } from './support.js';

const full = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

async function openFaulty() {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  const log = await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 });
  await log.admin.createTopic(topicConfig('t', { partitions: 2, settings: { 'segment.bytes': '300' } }));
  const writer = await log.transactionalWriter('w', ['t']);
  await writer.init();
  const add = (value: string) => {
    for (const partition of [0, 1]) writer.add('t', Buffer.from('k'), Buffer.from(value), { partition });
  };
  const values = async (of = log) =>
    Promise.all([0, 1].map(async (p) => (await readPartition(of, 't', p)).map((row) => row.value).join('')));
  return { folder, disk, log, writer, add, values };
}

const places: [string, (path: string) => boolean][] = [
  ['one partition', (path) => path.includes('/t/1/')],
  ['all partitions', (path) => path.includes('/t/')],
  ['the transaction log', (path) => path.endsWith('/transactions')],
];
for (const [where, isThere] of places) {
  test(`I14: no space in ${where}: unavailable, nothing visible, and writing continues once there is space`, async () => {
    const { folder, disk, log, writer, add, values } = await openFaulty();
    for (let round = 0; round < 6; round++) {
      add(`${round}`);
      await writer.commit();
      const expected = Array.from({ length: round + 1 }, (_, i) => i).join('');
      disk.refuse = (operation, path) =>
        (operation === 'write' || operation === 'open') && isThere(path) ? full() : null;
      for (let attempt = 0; attempt < 2; attempt++) {
        add('a value much longer than those that will be written in its place'.repeat(10));
        await assert.rejects(writer.commit(), (error) => {
          assert.ok(hasCode(error, 'unavailable') && isTransient(error), String(error));
          assert.match((error as Error).message, /no space left.*Free space/s);
          return true;
        });
        assert.equal(writer.bufferedRecords, 0);
        assert.deepEqual(await values(), [expected, expected]);
      }
      disk.refuse = () => null;
    }
    add('6');
    await writer.commit();
    await disk.die();
    const again = await openEmbeddedLog(folder, silentLogger);
    assert.deepEqual(await values(again), ['0123456', '0123456']);
    await again.close();
    const later = await openEmbeddedLog(folder, silentLogger);
    assert.deepEqual(await values(later), ['0123456', '0123456'], 'closed segments contain nothing else');
    await later.close();
    await log.close().catch(() => undefined);
  });
}

test('a transaction log that can neither append nor undo a note leaves the outcome open and accepts no more', async () => {
  const { disk, writer, add, values } = await openFaulty();
  disk.refuse = (operation, path) =>
    path.endsWith('/transactions') && (operation === 'write' || operation === 'truncate') ? full() : null;
  add('0');
  await assert.rejects(writer.commit(), (error) => hasCode(error, 'indefinite_commit'));
  add('1');
  await assert.rejects(writer.commit(), FreshetError);
  assert.deepEqual(await values(), ['', '']);
  disk.refuse = () => null;
  add('2');
  await writer.commit();
  assert.deepEqual(await values(), ['2', '2']);
  await disk.die();
});

test('a failed sync ends writing until the log is opened again; reading continues', async () => {
  const { folder, disk, log, writer, add, values } = await openFaulty();
  add('0');
  await writer.commit();
  disk.refuse = (operation) => (operation === 'sync' ? new Error('EIO: i/o error') : null);
  await assert.rejects(log.maintain(), (error) => hasCode(error, 'unavailable'));
  disk.refuse = () => null;
  add('1');
  await assert.rejects(writer.commit(), (error) => hasCode(error, 'unavailable'));
  assert.deepEqual(await values(), ['0', '0']);
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger);
  assert.deepEqual(await values(again), ['0', '0']);
  await again.close();
});

test('a failed durable mark in the transaction log is retried', async () => {
  const { folder, disk, log, writer, add, values } = await openFaulty();
  add('0');
  await writer.commit();
  disk.refuse = (operation, path) => (operation === 'write' && path.endsWith('/transactions') ? full() : null);
  await assert.rejects(log.maintain(), (error) => hasCode(error, 'unavailable'));
  disk.refuse = () => null;
  add('1');
  await writer.commit();
  await log.maintain();
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger);
  assert.deepEqual(await values(again), ['01', '01']);
  await again.close();
});

test('a topic that cannot be created does not exist', async () => {
  const { folder, disk, log } = await openFaulty();
  for (const refused of ['open', 'write', 'sync', 'rename'] as const) {
    disk.refuse = (operation, path) => (operation === refused && path.includes('new-topic') ? full() : null);
    await assert.rejects(log.admin.createTopic(topicConfig('new-topic')), (error) => hasCode(error, 'unavailable'));
    disk.refuse = () => null;
    assert.equal(await log.admin.describeTopic('new-topic'), null);
  }
  await log.admin.createTopic(topicConfig('new-topic'));
  await log.close();
  const again = await openEmbeddedLog(folder, silentLogger);
  assert.deepEqual(await again.admin.listTopics(), ['new-topic', 't']);
  await again.close();
});
