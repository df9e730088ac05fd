/**
 * The contract of every implementation of the log port (runtime/log/log.ts), written once and run on Kafka and on the
 * embedded log. Offsets may have gaps (Kafka's control records), so the suite compares rows and does not count offsets,
 * except where no transaction was involved.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type {
  Assignment,
  Log,
  LogReader,
  LogWriter,
  Membership,
  ReaderOptions,
  TopicConfig,
  TopicPartition,
  TransactionalWriter,
} from '../../runtime/log/log.js';
import { RECORD_BYTES_MAX } from '../../runtime/log/log.js';
import { FreshetError, hasCode } from '../../runtime/process/errors.js';
import { partitionOf } from '../../topics/partition.js';
import { eventually, inPartition, readRows } from './log-rows.js';

export interface OpenedLog {
  readonly log: Log;
  /** Closes the log and opens it again. */
  readonly reopen?: () => Promise<Log>;
}

export interface ConformanceOptions {
  /** Raises the first offset of a partition to `before`, in whatever way the implementation offers. */
  readonly truncate?: (log: Log, partition: TopicPartition, before: number) => Promise<void>;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const withCode = (code: Parameters<typeof hasCode>[1]) => (error: unknown) => {
  assert.ok(hasCode(error, code), `expected code ${code}, got ${String(error)}`);
  return true;
};

/** Registers the suite under `name`. One log serves all tests; each test has its own topics. */
export function logConformance(name: string, open: () => Promise<OpenedLog>, options: ConformanceOptions = {}): void {
  describe(`log port: ${name}`, () => {
    const run = randomBytes(4).toString('hex');
    let opened: OpenedLog;
    let log: Log;
    let topicCount = 0;
    const closing: (() => Promise<void>)[] = [];

    before(async () => {
      opened = await open();
      log = opened.log;
    });
    after(async () => {
      for (const close of closing.reverse()) await close();
      await log?.close();
    });

    const unique = (what: string) => `conformance-${run}-${++topicCount}-${what}`;
    const config = (what: string, more: Partial<TopicConfig> = {}): TopicConfig => ({
      name: unique(what),
      partitions: 3,
      cleanup: 'delete',
      retentionMs: -1,
      logAppendTime: false,
      settings: {},
      ...more,
    });
    const makeTopic = async (what: string, more: Partial<TopicConfig> = {}): Promise<string> => {
      const made = config(what, more);
      await log.admin.createTopic(made);
      return made.name;
    };
    const closed = <T extends { close(): Promise<void> }>(thing: T): T => {
      closing.push(() => thing.close());
      return thing;
    };
    const makeWriter = async (...topics: string[]): Promise<LogWriter> => closed(await log.writer(topics));
    const makeTransactional = async (id: string, ...topics: string[]): Promise<TransactionalWriter> =>
      closed(await log.transactionalWriter(id, topics));
    const readFrom = (start: readonly (TopicPartition & { offset: number })[], more: ReaderOptions = {}): LogReader =>
      closed(log.reader(start, more));
    const readTopic = (topic: string, partitions = 3, more: ReaderOptions = {}): LogReader =>
      readFrom(
        Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })),
        more,
      );
    /** Reads until the position of every partition is its last stable offset; returns the number of rows read. */
    const drain = async (reader: LogReader, partitions: readonly TopicPartition[]): Promise<number> => {
      let rows = 0;
      await eventually('the reader reaches the end', async () => {
        for (const columns of await reader.poll()) rows += columns.count;
        for (const place of partitions) {
          const { lastStable, highWatermark } = await log.offsets(place);
          if (reader.position(place) !== lastStable || lastStable !== highWatermark) return false;
        }
        return true;
      });
      return rows;
    };

    describe('topics', () => {
      test('a created topic is described as requested, listed, and gone after its deletion', async () => {
        const asked = config('settings', {
          partitions: 5,
          cleanup: 'compact,delete',
          retentionMs: 123_456_789,
          logAppendTime: true,
          settings: { 'segment.ms': '600000', 'min.compaction.lag.ms': '1000', 'delete.retention.ms': '7000' },
        });
        assert.equal(await log.admin.describeTopic(asked.name), null);
        await log.admin.createTopic(asked);
        const found = await log.admin.describeTopic(asked.name);
        assert.ok(found);
        const { settings, ...rest } = found;
        const { settings: askedSettings, ...askedRest } = asked;
        assert.deepEqual(rest, askedRest);
        for (const [key, value] of Object.entries(askedSettings)) assert.equal(settings[key], value, key);
        assert.equal(await log.partitionCount(asked.name), 5);
        assert.ok((await log.admin.listTopics()).includes(asked.name));
        await log.admin.deleteTopic(asked.name);
        await eventually('the topic is gone', async () => !(await log.admin.listTopics()).includes(asked.name));
        assert.equal(await log.admin.describeTopic(asked.name), null);
      });

      test('each cleanup policy and "for ever" survive the round trip', async () => {
        for (const cleanup of ['delete', 'compact', 'compact,delete'] as const) {
          const asked = config('cleanup', { cleanup });
          await log.admin.createTopic(asked);
          const found = await log.admin.describeTopic(asked.name);
          assert.equal(found?.cleanup, cleanup);
          assert.equal(found?.retentionMs, -1);
          assert.equal(found?.logAppendTime, false);
        }
      });

      test('creating a topic that exists fails and changes nothing', async () => {
        const topic = await makeTopic('twice', { settings: { 'segment.ms': '600000' } });
        await assert.rejects(log.admin.createTopic(config('x', { name: topic, partitions: 7 })), FreshetError);
        assert.equal(await log.partitionCount(topic), 3);
        assert.equal((await log.admin.describeTopic(topic))?.settings['segment.ms'], '600000');
      });

      test('a topic that does not exist is unknown_topic everywhere', async () => {
        const topic = await makeTopic('known');
        const missing = unique('missing');
        await assert.rejects(log.partitionCount(missing), withCode('unknown_topic'));
        await assert.rejects(log.offsets({ topic: missing, partition: 0 }), withCode('unknown_topic'));
        await assert.rejects(log.writer([missing]), withCode('unknown_topic'));
        await assert.rejects(log.transactionalWriter(unique('id'), [missing]), withCode('unknown_topic'));
        await assert.rejects(log.admin.deleteTopic(missing), withCode('unknown_topic'));
        await assert.rejects(log.admin.topicId(missing), withCode('unknown_topic'));
        const writer = await makeWriter(topic);
        assert.throws(() => writer.add(missing, bytes('k'), bytes('v')), withCode('unknown_topic'));
        const transactional = await makeTransactional(unique('id'), topic);
        assert.throws(() => transactional.add(missing, bytes('k'), bytes('v')), withCode('unknown_topic'));
        assert.equal(await log.admin.describeTopic(missing), null, 'nothing was created by asking');
      });

      test('a topic has an id that differs when it is created again', async () => {
        const topic = await makeTopic('id');
        const id = await log.admin.topicId(topic);
        assert.ok(id, 'the log under test has ids');
        assert.equal(await log.admin.topicId(topic), id);
        assert.notEqual(await log.admin.topicId(await makeTopic('x'.repeat(140))), id);
        await log.admin.deleteTopic(topic);
        await assert.rejects(log.admin.topicId(topic), withCode('unknown_topic'));
        await log.admin.createTopic(config('x', { name: topic }));
        assert.notEqual(await log.admin.topicId(topic), id);
      });

      test('a topic recreated under an old name is empty', async () => {
        const asked = config('reborn', { partitions: 1 });
        await log.admin.createTopic(asked);
        const writer = await makeWriter(asked.name);
        writer.add(asked.name, bytes('k'), bytes('old'));
        await writer.flush();
        await log.admin.deleteTopic(asked.name);
        await eventually('the topic is gone', async () => !(await log.admin.listTopics()).includes(asked.name));
        await log.admin.createTopic(asked);
        const { earliest, highWatermark } = await log.offsets({ topic: asked.name, partition: 0 });
        assert.deepEqual({ earliest, highWatermark }, { earliest: 0, highWatermark: 0 });
        const again = await makeWriter(asked.name);
        again.add(asked.name, bytes('k'), bytes('new'));
        await again.flush();
        const rows = await readRows(readTopic(asked.name, 1), 1);
        assert.deepEqual(
          rows.map((row) => row.value),
          ['new'],
        );
      });
    });

    describe('plain writing and reading', () => {
      test('I7: keys go to their murmur2 partition, in order, with offsets from 0 without gaps', async () => {
        const topic = await makeTopic('order');
        const writer = await makeWriter(topic);
        for (let i = 0; i < 3000; i++) writer.add(topic, bytes(`key-${i % 97}`), bytes(String(i)));
        assert.equal(writer.bufferedRecords, 3000);
        assert.ok(writer.bufferedBytes >= 3000 * 6);
        await writer.flush();
        assert.equal(writer.bufferedRecords, 0);
        assert.equal(writer.bufferedBytes, 0);
        const rows = await readRows(readTopic(topic), 3000);
        assert.equal(rows.length, 3000);
        for (const row of rows) {
          assert.equal(row.topic, topic);
          assert.equal(row.partition, partitionOf(3, bytes(row.key!)));
        }
        for (let partition = 0; partition < 3; partition++) {
          const part = inPartition(rows, partition);
          assert.ok(part.length > 0);
          for (const [i, row] of part.entries()) assert.equal(row.offset, i);
          const sequence = part.map((row) => Number(row.value));
          assert.deepEqual(
            sequence,
            [...sequence].sort((a, b) => a - b),
          );
          const { earliest, lastStable, highWatermark } = await log.offsets({ topic, partition });
          assert.deepEqual([earliest, lastStable, highWatermark], [0, part.length, part.length]);
        }
      });

      test('null, empty and binary keys and values are unchanged', async () => {
        const topic = await makeTopic('binary', { partitions: 1 });
        const writer = await makeWriter(topic);
        const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        const pairs: [Buffer | null, Buffer | null][] = [
          [bytes('tombstone'), null],
          [null, bytes('no key')],
          [null, null],
          [Buffer.alloc(0), bytes('empty key')],
          [bytes('empty value'), Buffer.alloc(0)],
          [all, Buffer.concat([all, all])],
          [bytes('ü'), Buffer.from('日本', 'utf8')],
        ];
        for (const [key, value] of pairs) writer.add(topic, key, value);
        await writer.flush();
        const rows = await readRows(readTopic(topic, 1), pairs.length);
        assert.deepEqual(
          rows.map((row) => [row.key, row.value]),
          pairs.map(([key, value]) => [key?.toString('latin1') ?? null, value?.toString('latin1') ?? null]),
        );
      });

      test('the caller may reuse bytes as soon as add returns', async () => {
        const topic = await makeTopic('reuse', { partitions: 1 });
        const writer = await makeWriter(topic);
        const buffer = Buffer.from('0');
        for (let i = 0; i < 10; i++) {
          buffer.write(String(i), 'latin1');
          writer.add(topic, buffer, buffer);
        }
        await writer.flush();
        const rows = await readRows(readTopic(topic, 1), 10);
        assert.equal(rows.map((row) => `${row.key}${row.value}`).join(''), '00112233445566778899');
      });

      test('an explicit partition takes precedence over the key', async () => {
        const topic = await makeTopic('explicit');
        const writer = await makeWriter(topic);
        for (let partition = 0; partition < 3; partition++)
          writer.add(topic, bytes('same'), bytes(String(partition)), { partition });
        await writer.flush();
        const rows = await readRows(readTopic(topic), 3);
        for (const row of rows) assert.equal(row.value, String(row.partition));
      });

      test('create time is kept, even when it goes backwards', async () => {
        const topic = await makeTopic('create-time', { partitions: 1 });
        const writer = await makeWriter(topic);
        const base = Date.now() - 3_600_000;
        const times = [base, base + 5000, base - 86_400_000, base + 1, base];
        for (const timestamp of times) writer.add(topic, bytes('k'), bytes('v'), { timestamp });
        await writer.flush();
        const rows = await readRows(readTopic(topic, 1), times.length);
        assert.deepEqual(
          rows.map((row) => row.timestamp),
          times,
        );
      });

      test('log append time replaces the time of the writer and never goes backwards', async () => {
        const topic = await makeTopic('append-time', { partitions: 1, logAppendTime: true });
        const writer = await makeWriter(topic);
        const before = Date.now();
        for (let batch = 0; batch < 5; batch++) {
          for (let i = 0; i < 3; i++) writer.add(topic, bytes('k'), bytes('v'), { timestamp: 1000 + batch });
          await writer.flush();
        }
        const rows = await readRows(readTopic(topic, 1), 15);
        for (const [i, row] of rows.entries()) {
          assert.ok(row.timestamp >= before - 1000 && row.timestamp <= Date.now() + 1000, String(row.timestamp));
          assert.ok(row.timestamp >= rows[Math.max(0, i - 1)]!.timestamp);
        }
        assert.equal(await log.offsetForTime({ topic, partition: 0 }, before - 60_000), 0);
        assert.equal(await log.offsetForTime({ topic, partition: 0 }, Date.now() + 60_000), null);
      });

      test('offsetForTime finds the first record not older, even out of order, and null after the last', async () => {
        const topic = await makeTopic('for-time', { partitions: 2 });
        const place = { topic, partition: 0 };
        assert.equal(await log.offsetForTime(place, 0), null, 'an empty partition has none');
        const writer = await makeWriter(topic);
        const base = Date.now() - 3_600_000;
        const times = [10, 20, 15, 40, 30, 60].map((s) => base + s * 1000);
        for (const timestamp of times.slice(0, 3))
          writer.add(topic, bytes('k'), bytes('v'), { timestamp, partition: 0 });
        await writer.flush();
        for (const timestamp of times.slice(3)) writer.add(topic, bytes('k'), bytes('v'), { timestamp, partition: 0 });
        await writer.flush();
        for (const seconds of [0, 10, 11, 20, 21, 40, 41, 60, 61]) {
          const ms = base + seconds * 1000;
          const expected = times.findIndex((time) => time >= ms);
          assert.equal(await log.offsetForTime(place, ms), expected === -1 ? null : expected, `${seconds} s`);
        }
        assert.equal(await log.offsetForTime({ topic, partition: 1 }, 0), null);
      });

      test('fifty thousand records in one flush can be read again', async () => {
        const topic = await makeTopic('large');
        const writer = await makeWriter(topic);
        const filler = 'x'.repeat(100);
        for (let i = 0; i < 50_000; i++) writer.add(topic, bytes(`k${i}`), bytes(`${i}:${filler}`));
        await writer.flush();
        const rows = await readRows(readTopic(topic), 50_000);
        assert.deepEqual(new Set(rows.map((row) => row.key)).size, 50_000);
        for (const row of rows) assert.equal(row.value, `${row.key!.slice(1)}:${filler}`);
      });

      test('I7: a record up to 512 KiB is written whole, a larger one is refused and leaves the buffer unchanged', async () => {
        const topic = await makeTopic('size', { partitions: 1 });
        const large = Buffer.alloc(RECORD_BYTES_MAX - 1024, 7);
        const tooLarge = Buffer.alloc(RECORD_BYTES_MAX + 1);
        const writer = await makeWriter(topic);
        writer.add(topic, bytes('fits'), large);
        assert.throws(() => writer.add(topic, bytes('k'), tooLarge), withCode('record_too_large'));
        assert.throws(() => writer.add(topic, tooLarge, null), withCode('record_too_large'));
        assert.equal(writer.bufferedRecords, 1);
        writer.add(topic, bytes('fits too'), large);
        writer.add(topic, bytes('and this'), large);
        await writer.flush();
        const transactional = await makeTransactional(unique('id'), topic);
        await transactional.init();
        assert.throws(() => transactional.add(topic, bytes('k'), tooLarge), withCode('record_too_large'));
        const rows = await readRows(readTopic(topic, 1, { maxBytesPerPartition: 1024 }), 3);
        for (const row of rows) assert.equal(row.value?.length, large.length);
      });

      test('flushes that are not awaited keep the order', async () => {
        const topic = await makeTopic('unawaited', { partitions: 1 });
        const writer = await makeWriter(topic);
        const flushes: Promise<void>[] = [];
        for (let i = 0; i < 50; i++) {
          writer.add(topic, bytes('k'), bytes(String(i)));
          flushes.push(writer.flush());
        }
        await Promise.all(flushes);
        const rows = await readRows(readTopic(topic, 1), 50);
        assert.deepEqual(
          rows.map((row) => Number(row.value)),
          Array.from({ length: 50 }, (_, i) => i),
        );
      });

      test('two writers of one partition lose nothing and each keeps its order', async () => {
        const topic = await makeTopic('two-writers', { partitions: 1 });
        const writers = [await makeWriter(topic), await makeWriter(topic)];
        await Promise.all(
          writers.map(async (writer, w) => {
            for (let i = 0; i < 40; i++) {
              writer.add(topic, bytes(String(w)), bytes(String(i)));
              await writer.flush();
            }
          }),
        );
        const rows = await readRows(readTopic(topic, 1), 80);
        for (const w of ['0', '1']) {
          assert.deepEqual(
            rows.filter((row) => row.key === w).map((row) => Number(row.value)),
            Array.from({ length: 40 }, (_, i) => i),
          );
        }
      });
    });

    describe('reader', () => {
      test('starts at any offset, even in the middle of a batch', async () => {
        const topic = await makeTopic('anywhere', { partitions: 1 });
        const writer = await makeWriter(topic);
        for (let batch = 0; batch < 4; batch++) {
          for (let i = 0; i < 25; i++) writer.add(topic, bytes('k'), bytes(String(batch * 25 + i)));
          await writer.flush();
        }
        for (const offset of [0, 1, 24, 25, 26, 60, 99]) {
          const reader = readFrom([{ topic, partition: 0, offset }]);
          assert.equal(reader.position({ topic, partition: 0 }), offset);
          const rows = await readRows(reader, 100 - offset);
          assert.deepEqual(
            rows.map((row) => row.offset),
            Array.from({ length: 100 - offset }, (_, i) => offset + i),
          );
          assert.equal(rows[0]!.value, String(offset));
          assert.equal(reader.position({ topic, partition: 0 }), 100);
          await reader.close();
        }
      });

      test('small answers add up to everything, from several topics at once', async () => {
        const first = await makeTopic('several-a');
        const second = await makeTopic('several-b', { partitions: 2 });
        const writer = await makeWriter(first, second);
        for (let round = 0; round < 20; round++) {
          for (let i = 0; i < 50; i++) {
            writer.add(first, bytes(`a${i}`), bytes('x'.repeat(200)));
            writer.add(second, bytes(`b${i}`), bytes('y'.repeat(200)));
          }
          await writer.flush();
        }
        const start = [
          ...[0, 1, 2].map((partition) => ({ topic: first, partition, offset: 0 })),
          ...[0, 1].map((partition) => ({ topic: second, partition, offset: 0 })),
        ];
        const rows = await readRows(readFrom(start, { maxBytesPerPartition: 4096 }), 2000);
        assert.equal(rows.filter((row) => row.topic === first).length, 1000);
        assert.equal(rows.filter((row) => row.topic === second).length, 1000);
      });

      test('both isolations read plain records', async () => {
        const topic = await makeTopic('isolation', { partitions: 1 });
        const writer = await makeWriter(topic);
        writer.add(topic, bytes('k'), bytes('v'));
        await writer.flush();
        for (const isolation of ['read_committed', 'read_uncommitted'] as const)
          assert.equal((await readRows(readTopic(topic, 1, { isolation }), 1)).length, 1);
      });

      test('an empty poll returns after maxWaitMs without rows', async () => {
        const topic = await makeTopic('empty');
        const reader = readTopic(topic, 3, { maxWaitMs: 100 });
        for (let i = 0; i < 3; i++) {
          const begun = Date.now();
          for (const columns of await reader.poll()) assert.equal(columns.count, 0);
          assert.ok(Date.now() - begun < 10_000);
        }
        assert.equal(reader.position({ topic, partition: 0 }), 0);
      });

      test('a waiting poll is woken by new records long before maxWaitMs', async () => {
        const topic = await makeTopic('wake');
        const writer = await makeWriter(topic);
        const reader = readTopic(topic, 3, { maxWaitMs: 20_000 });
        for (let i = 0; i < 5; i++) {
          const reading = readRows(reader, 1);
          await new Promise((resolve) => setImmediate(resolve));
          writer.add(topic, bytes(`k${i}`), bytes(String(i)));
          const begun = Date.now();
          await writer.flush();
          const rows = await reading;
          assert.ok(Date.now() - begun < 10_000);
          assert.deepEqual(
            rows.map((row) => row.value),
            [String(i)],
          );
        }
      });

      test('a waiting poll is woken by a commit as well', async () => {
        const topic = await makeTopic('wake-commit');
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        const reader = readTopic(topic, 3, { maxWaitMs: 20_000 });
        for (let i = 0; i < 3; i++) {
          const reading = readRows(reader, 1);
          writer.add(topic, bytes(`k${i}`), bytes(String(i)));
          const begun = Date.now();
          await writer.commit();
          assert.equal((await reading)[0]!.value, String(i));
          assert.ok(Date.now() - begun < 10_000);
        }
      });

      test('close ends a waiting poll', async () => {
        const topic = await makeTopic('close-waiting');
        const reader = log.reader([{ topic, partition: 0, offset: 0 }], { maxWaitMs: 20_000 });
        const begun = Date.now();
        const waiting = reader.poll().then(
          () => 'settled',
          () => 'settled',
        );
        await new Promise((resolve) => setImmediate(resolve));
        await reader.close();
        assert.equal(await waiting, 'settled');
        assert.ok(Date.now() - begun < 10_000);
      });

      test('a paused partition returns nothing and keeps its position until it is resumed', async () => {
        const topic = await makeTopic('pause', { partitions: 2 });
        const [left, right] = [
          { topic, partition: 0 },
          { topic, partition: 1 },
        ];
        const writer = await makeWriter(topic);
        for (let round = 0; round < 10; round++) {
          for (const partition of [0, 1])
            for (let i = 0; i < 20; i++) writer.add(topic, bytes(`${i}`), bytes('z'.repeat(100)), { partition });
          await writer.flush();
        }
        const reader = readTopic(topic, 2, { maxBytesPerPartition: 3000, maxWaitMs: 100 });
        let fromRight = 0;
        let fromLeft = 0;
        while (fromLeft === 0)
          for (const columns of await reader.poll()) {
            if (columns.partition === 0) fromLeft += columns.count;
            else fromRight += columns.count;
          }
        reader.pause(left);
        const stays = reader.position(left);
        assert.equal(stays, fromLeft);
        for (let empty = 0; fromRight < 200 || empty < 2; empty++) {
          for (const columns of await reader.poll()) {
            assert.equal(columns.partition, 1, 'nothing is returned from the paused partition');
            fromRight += columns.count;
          }
          assert.ok(empty < 1000, `${fromRight} of 200 rows came`);
        }
        assert.equal(fromRight, 200);
        assert.equal(reader.position(left), stays);
        assert.equal(reader.position(right), 200);
        reader.pause(right);
        for (const columns of await reader.poll()) assert.equal(columns.count, 0, 'all paused: nothing');
        reader.resume(left);
        const rest = await readRows(reader, 200 - fromLeft);
        assert.equal(rest[0]!.offset, stays);
        assert.ok(rest.every((row) => row.partition === 0));
        reader.resume(right);
        writer.add(topic, bytes('k'), bytes('last'), { partition: 1 });
        await writer.flush();
        assert.equal((await readRows(reader, 1))[0]!.offset, 200);
      });

      test('an offset above the end is an error, the end itself is not', async () => {
        const topic = await makeTopic('above', { partitions: 1 });
        const writer = await makeWriter(topic);
        for (let i = 0; i < 10; i++) writer.add(topic, bytes('k'), bytes(String(i)));
        await writer.flush();
        const pollUntilError = async (reader: LogReader) => {
          for (let i = 0; i < 20; i++)
            assert.equal(
              (await reader.poll()).reduce((sum, c) => sum + c.count, 0),
              0,
            );
        };
        await assert.rejects(
          pollUntilError(readFrom([{ topic, partition: 0, offset: 11 }])),
          withCode('offset_out_of_range'),
        );
        const reader = readFrom([{ topic, partition: 0, offset: 10 }]);
        await reader.poll();
        writer.add(topic, bytes('k'), bytes('10'));
        await writer.flush();
        assert.equal((await readRows(reader, 1))[0]!.offset, 10);
      });

      const { truncate } = options;
      test('an offset below the start is an error', { skip: truncate === undefined }, async () => {
        const topic = await makeTopic('below', { partitions: 1 });
        const place = { topic, partition: 0 };
        const writer = await makeWriter(topic);
        for (let i = 0; i < 10; i++) writer.add(topic, bytes('k'), bytes(String(i)));
        await writer.flush();
        await truncate!(log, place, 4);
        await eventually('the start has moved', async () => (await log.offsets(place)).earliest === 4);
        const reader = readFrom([{ ...place, offset: 3 }]);
        await assert.rejects(async () => {
          for (let i = 0; i < 20; i++) await reader.poll();
        }, withCode('offset_out_of_range'));
        const rows = await readRows(readFrom([{ ...place, offset: 4 }]), 6);
        assert.deepEqual(
          rows.map((row) => row.value),
          ['4', '5', '6', '7', '8', '9'],
        );
      });

      test('reads while others write, without gap or repetition', async () => {
        const topic = await makeTopic('meanwhile');
        const writer = await makeWriter(topic);
        const transactional = await makeTransactional(unique('id'), topic);
        await transactional.init();
        const writing = (async () => {
          for (let round = 0; round < 60; round++) {
            for (let i = 0; i < 30; i++) writer.add(topic, bytes(`p${i}`), bytes(String(round)));
            for (let i = 0; i < 30; i++) transactional.add(topic, bytes(`t${i}`), bytes(String(round)));
            await Promise.all([writer.flush(), transactional.commit()]);
          }
        })();
        const rows = await readRows(readTopic(topic, 3, { maxBytesPerPartition: 8192 }), 60 * 60);
        await writing;
        const seen = new Map<string, number>();
        for (const row of rows) {
          assert.equal(Number(row.value), seen.get(row.key!) ?? 0, `${row.key}`);
          seen.set(row.key!, Number(row.value) + 1);
        }
        assert.equal(seen.size, 60);
      });
    });

    describe('transactions', () => {
      test('I4: a commit shows everything in all partitions and topics, a discard nothing', async () => {
        const first = await makeTopic('atomic-a');
        const second = await makeTopic('atomic-b', { partitions: 2 });
        const writer = await makeTransactional(unique('id'), first, second);
        await writer.init();
        for (let round = 0; round < 6; round++) {
          for (let i = 0; i < 12; i++) {
            writer.add(first, bytes(`k${i}`), bytes(String(round)));
            writer.add(second, bytes(`k${i}`), i % 3 === 0 ? null : bytes(String(round)));
          }
          assert.equal(writer.bufferedRecords, 24);
          assert.ok(writer.bufferedBytes > 0);
          if (round % 2 === 0) await writer.commit();
          else writer.discard();
          assert.equal(writer.bufferedRecords, 0);
          assert.equal(writer.bufferedBytes, 0);
        }
        const places = [
          ...[0, 1, 2].map((partition) => ({ topic: first, partition })),
          ...[0, 1].map((partition) => ({ topic: second, partition })),
        ];
        const reader = readFrom(places.map((place) => ({ ...place, offset: 0 })));
        const rows = await readRows(reader, 3 * 24);
        assert.equal(await drain(reader, places), 0, 'nothing more than the committed records');
        for (const topic of [first, second])
          for (let i = 0; i < 12; i++) {
            const values = rows.filter((row) => row.topic === topic && row.key === `k${i}`).map((row) => row.value);
            assert.deepEqual(values, topic === second && i % 3 === 0 ? [null, null, null] : ['0', '2', '4']);
          }
      });

      test('nothing is in the log before the commit', async () => {
        const topic = await makeTopic('before-commit', { partitions: 1 });
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        const reader = readTopic(topic, 1, { maxWaitMs: 100 });
        writer.add(topic, bytes('k'), bytes('v'));
        for (const columns of await reader.poll()) assert.equal(columns.count, 0);
        await writer.commit();
        assert.equal((await readRows(reader, 1))[0]!.value, 'v');
      });

      test('the position skips what Kafka writes between transactions', async () => {
        const topic = await makeTopic('position', { partitions: 1 });
        const place = { topic, partition: 0 };
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        const reader = readTopic(topic, 1);
        for (let round = 0; round < 5; round++) {
          for (let i = 0; i < 4; i++) writer.add(topic, bytes('k'), bytes(`${round}-${i}`));
          await writer.commit();
          assert.equal(await drain(reader, [place]), 4);
          const { earliest, lastStable, highWatermark } = await log.offsets(place);
          assert.equal(earliest, 0);
          assert.equal(lastStable, highWatermark);
          assert.ok(highWatermark >= (round + 1) * 4);
        }
        const end = reader.position(place);
        const late = readFrom([{ ...place, offset: end }], { maxWaitMs: 100 });
        for (const columns of await late.poll()) assert.equal(columns.count, 0);
        assert.equal(late.position(place), end);
      });

      test('an empty commit writes nothing', async () => {
        const topic = await makeTopic('empty-commit', { partitions: 1 });
        const place = { topic, partition: 0 };
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        writer.add(topic, bytes('k'), bytes('v'));
        await writer.commit();
        await drain(readTopic(topic, 1), [place]);
        const { highWatermark } = await log.offsets(place);
        for (let i = 0; i < 1000; i++) await writer.commit();
        assert.equal((await log.offsets(place)).highWatermark, highWatermark);
      });

      test('init must be called first', async () => {
        const topic = await makeTopic('init-first', { partitions: 1 });
        const writer = await makeTransactional(unique('id'), topic);
        writer.add(topic, bytes('k'), bytes('v'));
        await assert.rejects(writer.commit(), withCode('state'));
        writer.discard();
        await writer.init();
        writer.add(topic, bytes('k'), bytes('after'));
        await writer.commit();
        assert.equal((await readRows(readTopic(topic, 1), 1))[0]!.value, 'after');
      });

      test('I3: a newer writer of the same id fences the older one permanently', async () => {
        const topic = await makeTopic('fence', { partitions: 2 });
        const id = unique('id');
        const old = await makeTransactional(id, topic);
        await old.init();
        old.add(topic, bytes('a'), bytes('old, before'));
        await old.commit();
        old.add(topic, bytes('b'), bytes('old, after'), { partition: 0 });
        old.add(topic, bytes('b'), bytes('old, after'), { partition: 1 });
        const young = await makeTransactional(id, topic);
        await young.init();
        await assert.rejects(old.commit(), withCode('fenced'));
        old.add(topic, bytes('c'), bytes('old, again'));
        await assert.rejects(old.commit(), withCode('fenced'));
        young.add(topic, bytes('d'), bytes('young'));
        await young.commit();
        const reader = readTopic(topic, 2);
        const rows = await readRows(reader, 2);
        assert.deepEqual(rows.map((row) => row.value).sort(), ['old, before', 'young']);
        assert.equal(
          await drain(
            reader,
            [0, 1].map((partition) => ({ topic, partition })),
          ),
          0,
        );
      });

      test('I3: a writer fenced before its first commit is fenced too; other ids are not affected', async () => {
        const topic = await makeTopic('fence-early', { partitions: 1 });
        const id = unique('id');
        const old = await makeTransactional(id, topic);
        const other = await makeTransactional(unique('id'), topic);
        await old.init();
        await other.init();
        const young = await makeTransactional(id, topic);
        await young.init();
        old.add(topic, bytes('k'), bytes('old'));
        await assert.rejects(old.commit(), withCode('fenced'));
        other.add(topic, bytes('k'), bytes('other'));
        await other.commit();
        young.add(topic, bytes('k'), bytes('young'));
        await young.commit();
        const rows = await readRows(readTopic(topic, 1), 2);
        assert.deepEqual(
          rows.map((row) => row.value),
          ['other', 'young'],
        );
      });

      test('many small commits keep their order', async () => {
        const topic = await makeTopic('small-commits');
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        let written = 0;
        for (let round = 0; round < 150; round++) {
          for (let i = 0; i <= round % 3; i++) {
            writer.add(topic, bytes('k'), bytes(String(written++)), { partition: i });
          }
          await writer.commit();
        }
        const rows = await readRows(readTopic(topic), written);
        for (let partition = 0; partition < 3; partition++) {
          const sequence = inPartition(rows, partition).map((row) => Number(row.value));
          assert.deepEqual(
            sequence,
            [...sequence].sort((a, b) => a - b),
          );
        }
        assert.equal(new Set(rows.map((row) => row.value)).size, written);
      });

      test('fifty thousand records in one transaction can be read again', async () => {
        const topic = await makeTopic('large-commit');
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        for (let i = 0; i < 50_000; i++) writer.add(topic, bytes(`k${i}`), bytes(`value ${i} ${'x'.repeat(60)}`));
        await writer.commit();
        const rows = await readRows(readTopic(topic), 50_000);
        assert.equal(new Set(rows.map((row) => row.key)).size, 50_000);
      });

      test('log append time applies to transactions', async () => {
        const topic = await makeTopic('append-commit', { partitions: 1, logAppendTime: true });
        const writer = await makeTransactional(unique('id'), topic);
        await writer.init();
        const begun = Date.now();
        writer.add(topic, bytes('k'), bytes('v'), { timestamp: 5 });
        await writer.commit();
        const [row] = await readRows(readTopic(topic, 1), 1);
        assert.ok(row!.timestamp >= begun - 1000 && row!.timestamp <= Date.now() + 1000);
      });
    });

    describe('groups', () => {
      /** A member that checks, together with the others of its group, that no task has two owners. */
      const makeMember = async (group: string, tasks: number, topic: string, owners: Map<number, object>) => {
        const self = { held: [] as readonly number[], generation: -1, revocations: 0, failure: null as Error | null };
        const giveUp = () => {
          for (const task of self.held) owners.delete(task);
          self.held = [];
        };
        const membership: Membership = await log.join({
          group,
          tasks,
          partitionsOf: (task) => [{ topic, partition: task }],
          sessionTimeoutMs: 6000,
          onRevoked: async () => {
            self.revocations++;
            giveUp();
          },
          onAssigned: async (assignment: Assignment) => {
            assert.ok(assignment.generation > self.generation, 'generations rise');
            self.generation = assignment.generation;
            self.held = [...assignment.tasks].sort((a, b) => a - b);
            for (const task of self.held) {
              if (owners.has(task)) self.failure = new Error(`task ${task} has two owners`);
              owners.set(task, self);
            }
          },
          onFailed: (error) => {
            self.failure = error;
          },
        });
        let left = false;
        const leave = async () => {
          if (left) return;
          left = true;
          await membership.leave();
        };
        closing.push(leave);
        return { self, membership, leave };
      };

      test('one member gets all tasks, is confirmed, and gives them up when it leaves', async () => {
        const topic = await makeTopic('one-member', { partitions: 4 });
        const owners = new Map<number, object>();
        const { self, membership, leave } = await makeMember(unique('group'), 4, topic, owners);
        await eventually('all tasks are assigned', async () => self.held.length === 4);
        assert.deepEqual(self.held, [0, 1, 2, 3]);
        assert.equal(await membership.confirmed(), true);
        assert.equal(self.revocations, 0);
        await leave();
        assert.equal(self.revocations, 1, 'leaving first gives up the tasks');
        assert.equal(await membership.confirmed(), false);
        assert.equal(self.failure, null);
      });

      test('two members share the tasks without overlap; the remaining one takes over', async () => {
        const topic = await makeTopic('two-members', { partitions: 4 });
        const group = unique('group');
        const owners = new Map<number, object>();
        const first = await makeMember(group, 4, topic, owners);
        await eventually('the first has all', async () => first.self.held.length === 4);
        const second = await makeMember(group, 4, topic, owners);
        await eventually('each has two', async () => first.self.held.length === 2 && second.self.held.length === 2);
        assert.ok(first.self.revocations >= 1);
        assert.deepEqual(
          [...first.self.held, ...second.self.held].sort((a, b) => a - b),
          [0, 1, 2, 3],
        );
        assert.equal(await first.membership.confirmed(), true);
        assert.equal(await second.membership.confirmed(), true);
        await first.leave();
        await eventually('the second has all', async () => second.self.held.length === 4);
        assert.equal(await second.membership.confirmed(), true);
        await second.leave();
        assert.equal(first.self.failure, null);
        assert.equal(second.self.failure, null);
        assert.equal(owners.size, 0);
      });

      test('shown offsets can be seen by others and outlive the member', async () => {
        const topic = await makeTopic('shown', { partitions: 3 });
        const writer = await makeWriter(topic);
        for (let partition = 0; partition < 3; partition++)
          for (let i = 0; i < 20; i++) writer.add(topic, null, bytes('v'), { partition });
        await writer.flush();
        const group = unique('group');
        const places = [0, 1, 2].map((partition) => ({ topic, partition }));
        assert.deepEqual(await log.shownOffsets(group, places), [-1, -1, -1]);
        const member = await makeMember(group, 3, topic, new Map());
        await eventually('all tasks are assigned', async () => member.self.held.length === 3);
        await member.membership.showOffsets([
          { topic, partition: 0, offset: 7 },
          { topic, partition: 2, offset: 12 },
        ]);
        await eventually('the offsets are shown', async () => (await log.shownOffsets(group, places))[2] === 12);
        assert.deepEqual(await log.shownOffsets(group, places), [7, -1, 12]);
        await member.leave();
        assert.deepEqual(await log.shownOffsets(group, places), [7, -1, 12]);
      });
    });

    test('a reopened log has its topics, records, transactions, times and shown offsets', async (t) => {
      if (opened.reopen === undefined) return t.skip('this log cannot be opened again here');
      const asked = config('kept', { partitions: 2, settings: { 'segment.ms': '600000' } });
      await log.admin.createTopic(asked);
      const topic = asked.name;
      const writer = await log.writer([topic]);
      const transactional = await log.transactionalWriter(unique('id'), [topic]);
      await transactional.init();
      const timestamp = Date.now() - 60_000;
      for (let i = 0; i < 100; i++) writer.add(topic, bytes(`p${i}`), bytes(String(i)), { timestamp });
      await writer.flush();
      for (let i = 0; i < 100; i++) transactional.add(topic, bytes(`t${i}`), bytes(String(i)), { timestamp });
      await transactional.commit();
      await writer.close();
      await transactional.close();
      const group = unique('group');
      let assigned = false;
      const member = await log.join({
        group,
        tasks: 1,
        partitionsOf: () => [{ topic, partition: 0 }],
        onRevoked: async () => undefined,
        onAssigned: async () => {
          assigned = true;
        },
        onFailed: () => undefined,
      });
      await eventually('the task is assigned', async () => assigned);
      await member.showOffsets([{ topic, partition: 0, offset: 9 }]);
      await eventually(
        'the offset is shown',
        async () => (await log.shownOffsets(group, [{ topic, partition: 0 }]))[0] === 9,
      );
      await member.leave();
      const places = [0, 1].map((partition) => ({ topic, partition }));
      const before = await readRows(readTopic(topic, 2), 200);
      for (const close of closing.splice(0).reverse()) await close();

      log = await opened.reopen();
      const found = await log.admin.describeTopic(topic);
      assert.equal(found?.partitions, 2);
      assert.equal(found?.settings['segment.ms'], '600000');
      assert.deepEqual(await log.shownOffsets(group, [{ topic, partition: 0 }]), [9]);
      const reader = readTopic(topic, 2);
      const rows = await readRows(reader, 200);
      for (let partition = 0; partition < 2; partition++)
        assert.deepEqual(inPartition(rows, partition), inPartition(before, partition));
      assert.equal(await drain(reader, places), 0);
      const more = await makeWriter(topic);
      const end = (await log.offsets(places[0]!)).highWatermark;
      more.add(topic, bytes('k'), bytes('more'), { partition: 0 });
      await more.flush();
      const [row] = await readRows(reader, 1);
      assert.equal(row!.offset, end);
      assert.equal(row!.value, 'more');
    });
  });
}
