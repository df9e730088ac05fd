/** What the embedded log offers beyond the contract of the port, and what it refuses. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { decodeTransactionLog } from '../../../../../runtime/log/embedded/transaction-log.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { eventually } from '../../../../conformance/log-rows.js';
import { FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, topicConfig } from './support.js';

test('one poll sees a commit in all its partitions or in none', async () => {
  const log = await openEmbeddedLog(await makeFolder(), silentLogger);
  await log.admin.createTopic(topicConfig('t', { partitions: 3, settings: { 'segment.bytes': '4000' } }));
  const places = [0, 1, 2].map((partition) => ({ topic: 't', partition }));
  let done = false;
  const writing = Promise.all(
    ['a', 'b'].map(async (id) => {
      const writer = await log.transactionalWriter(id, ['t']);
      await writer.init();
      for (let n = 0; n < 300; n++) {
        for (const { partition } of places) writer.add('t', Buffer.from('k'), Buffer.alloc(20), { partition });
        await writer.commit();
      }
    }),
  ).then(() => {
    done = true;
  });
  const reader = log.reader(
    places.map((place) => ({ ...place, offset: 0 })),
    { maxWaitMs: 20 },
  );
  let polls = 0;
  while (!done || reader.position(places[0]!) < 600) {
    await reader.poll();
    polls++;
    const [first, second, third] = places.map((place) => reader.position(place));
    // The partitions are identical to the byte, so each poll leaves them at the same position.
    const ends = await Promise.all(places.map((place) => log.offsets(place)));
    assert.equal(new Set(ends.map((end) => end.highWatermark)).size, 1);
    assert.deepEqual([second, third], [first, first]);
  }
  assert.ok(polls > 20);
  await writing;
  await log.close();
});

test('waiting commits are written together', async () => {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  const log = await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 });
  await log.admin.createTopic(topicConfig('t'));
  const writers = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const writer = await log.transactionalWriter(`w${i}`, ['t']);
      await writer.init();
      writer.add('t', Buffer.from('k'), Buffer.from(String(i)));
      return writer;
    }),
  );
  await Promise.all(writers.map((writer) => writer.commit()));
  assert.deepEqual(
    (await readPartition(log, 't')).map((row) => row.value),
    Array.from({ length: 50 }, (_, i) => String(i)),
  );
  assert.ok(decodeTransactionLog(await readFile(`${folder}/transactions`))!.notes.length <= 2);
  await disk.die();
});

test('a fenced writer among the waiting ones does not delay the others', async () => {
  const log = await openEmbeddedLog(await makeFolder(), silentLogger);
  await log.admin.createTopic(topicConfig('t'));
  const [old, young, other] = [
    await log.transactionalWriter('x', ['t']),
    await log.transactionalWriter('x', ['t']),
    await log.transactionalWriter('y', ['t']),
  ];
  for (const writer of [old, other, young]) {
    await writer.init();
    writer.add('t', Buffer.from('k'), Buffer.from(writer === old ? 'old' : 'new'));
  }
  const results = await Promise.allSettled([other.commit(), old.commit(), young.commit()]);
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(
    (await readPartition(log, 't')).map((row) => row.value),
    ['new', 'new'],
  );
  await log.close();
});

test('when one poll cannot read everything, every partition gets its turn', async () => {
  const log = await openEmbeddedLog(await makeFolder(), silentLogger);
  await log.admin.createTopic(topicConfig('t', { partitions: 3 }));
  const writer = await log.writer(['t']);
  const places = [0, 1, 2].map((partition) => ({ topic: 't', partition }));
  for (const { partition } of places) writer.add('t', null, Buffer.alloc(10), { partition });
  await writer.flush();
  const reader = log.reader(
    places.map((place) => ({ ...place, offset: 0 })),
    { maxBytesPerPartition: 40 * 1024 * 1024 },
  );
  const turns: number[] = [];
  for (let i = 0; i < 3; i++) turns.push(...(await reader.poll()).map((columns) => columns.partition));
  assert.deepEqual(turns, [0, 1, 2]);
  await log.close();
});

test('a reader and a writer get an error when their topic was deleted', async () => {
  const log = await openEmbeddedLog(await makeFolder(), silentLogger);
  await log.admin.createTopic(topicConfig('t'));
  const reader = log.reader([{ topic: 't', partition: 0, offset: 0 }], { maxWaitMs: 60_000 });
  const writer = await log.writer(['t']);
  const waiting = assert.rejects(reader.poll(), (error) => hasCode(error, 'unknown_topic'));
  writer.add('t', null, null);
  await log.admin.deleteTopic('t');
  await waiting;
  await assert.rejects(writer.flush(), (error) => hasCode(error, 'unknown_topic'));
  await log.admin.createTopic(topicConfig('t'));
  writer.add('t', null, null);
  await assert.rejects(writer.flush(), (error) => hasCode(error, 'unknown_topic'), 'the new topic is another one');
  await log.close();
});

test('resume wakes a waiting poll', async () => {
  const log = await openEmbeddedLog(await makeFolder(), silentLogger);
  await log.admin.createTopic(topicConfig('t'));
  const writer = await log.writer(['t']);
  writer.add('t', null, null);
  await writer.flush();
  const reader = log.reader([{ topic: 't', partition: 0, offset: 0 }], { maxWaitMs: 600_000 });
  reader.pause({ topic: 't', partition: 0 });
  const waiting = reader.poll();
  reader.resume({ topic: 't', partition: 0 });
  assert.equal((await waiting)[0]?.count, 1);
  await log.close();
});

test('impossible requests are refused with a sentence', async () => {
  const log = await openEmbeddedLog(await makeFolder(), silentLogger);
  const refused = [
    topicConfig(''),
    topicConfig('..'),
    topicConfig('a/b'),
    topicConfig('x'.repeat(250)),
    topicConfig('t', { partitions: 0 }),
    topicConfig('t', { partitions: 1.5 }),
    topicConfig('t', { retentionMs: Number.NaN }),
    topicConfig('t', { settings: { 'segment.bytes': 'many' } }),
    topicConfig('t', { settings: { 'segment.ms': '0' } }),
  ];
  for (const config of refused)
    await assert.rejects(log.admin.createTopic(config), (error) => hasCode(error, 'settings'), config.name);
  assert.deepEqual(await log.admin.listTopics(), []);
  await log.admin.createTopic(topicConfig('t'));
  const writer = await log.writer(['t']);
  assert.throws(() => writer.add('t', null, null, { partition: 1 }), /no partition 1/);
  await assert.rejects(log.offsets({ topic: 't', partition: 1 }), /no partition 1: it has 1/);
  const reader = log.reader([{ topic: 't', partition: 0, offset: 0 }], { maxWaitMs: 60_000 });
  assert.throws(() => reader.position({ topic: 'u', partition: 0 }), /does not read/);
  const waiting = reader.poll();
  await assert.rejects(reader.poll(), /under way/);
  await log.close();
  assert.deepEqual(await waiting, []);
  await assert.rejects(reader.poll(), (error) => hasCode(error, 'state'));
  writer.add('t', null, null);
  await assert.rejects(writer.flush(), (error) => hasCode(error, 'state'));
  await assert.rejects(log.partitionCount('t'), (error) => hasCode(error, 'state'));
  await log.close();
});

test('maintenance and sync run by themselves', async () => {
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger, {
    maintenanceIntervalMs: 5,
    syncIntervalMs: 1,
    defaults: { 'segment.ms': '1', 'min.cleanable.dirty.ratio': '0' },
  });
  await log.admin.createTopic(topicConfig('t'));
  await log.admin.createTopic(topicConfig('latest', { cleanup: 'compact' }));
  const writer = await log.writer(['t', 'latest']);
  for (let i = 0; i < 2; i++) {
    writer.add('latest', Buffer.from('k'), Buffer.from(String(i)));
    await writer.flush();
  }
  await eventually('the older value has been removed', async () => (await readPartition(log, 'latest')).length === 1);
  writer.add('t', null, null);
  await writer.flush();
  await eventually('the transaction log says that all three commits are safe', async () => {
    return decodeTransactionLog(await readFile(`${folder}/transactions`))?.durableCommit === 3;
  });
  await log.close();
});

test('a damaged file of shown offsets does not prevent a start', async () => {
  const folder = await makeFolder();
  await writeFile(`${folder}/groups.json`, '{"g":');
  const log = await openEmbeddedLog(folder, silentLogger);
  assert.deepEqual(await log.shownOffsets('g', [{ topic: 't', partition: 0 }]), [-1]);
  await log.close();
});

test('settings of the log apply where a topic has none', async () => {
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger, { defaults: { 'segment.bytes': '1' } });
  await log.admin.createTopic(topicConfig('t'));
  await log.admin.createTopic(topicConfig('u', { settings: { 'segment.bytes': '100000' } }));
  const writer = await log.writer(['t', 'u']);
  for (let i = 0; i < 3; i++) {
    for (const topic of ['t', 'u']) writer.add(topic, null, null);
    await writer.flush();
  }
  await log.close();
  const sizes = await Promise.all(
    ['t', 'u'].map(async (topic) => (await readFile(`${folder}/topics/${topic}/0/${'0'.repeat(20)}.log`)).length),
  );
  assert.equal(sizes[1], sizes[0]! * 3);
});
