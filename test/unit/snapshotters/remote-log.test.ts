/** The log across a pipe reads like the log itself, and offers only the topics that it was given. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import type { RecordColumns } from '../../../runtime/log/log.js';
import { FreshetError, hasCode } from '../../../runtime/process/errors.js';
import { LogHost, RemoteLog, refusalOf } from '../../../snapshotters/remote-log.js';
import { MemoryLog } from '../../support/memory-log.js';

const TOPIC = 'terms';
const AT = { topic: TOPIC, partition: 0 };
const CONFIG = { partitions: 1, cleanup: 'compact', retentionMs: -1, logAppendTime: false, settings: {} } as const;

/** What the pipe between two processes does to a value. */
function across<T>(value: T): T {
  return deserialize(serialize(value)) as T;
}

function rowsOf(batches: readonly RecordColumns[]): string[] {
  return batches.flatMap((batch) =>
    Array.from({ length: batch.count }, (_, row) => {
      const key = batch.bytes.toString('utf8', batch.keyStart[row]!, batch.keyEnd[row]!);
      const value = batch.valueStart[row]! < 0 ? null : batch.valueEnd[row]! - batch.valueStart[row]!;
      return `${batch.offsets[row]} ${key} ${value}`;
    }),
  );
}

describe('a remote log', () => {
  let log: MemoryLog;
  let host: LogHost;
  let remote: RemoteLog;
  let asked: string[];

  beforeEach(async () => {
    log = new MemoryLog();
    for (const name of [TOPIC, 'users']) await log.admin.createTopic({ name, ...CONFIG });
    const writer = await log.writer([TOPIC]);
    for (let i = 0; i < 40; i++) writer.add(TOPIC, Buffer.from(`k${i}`), i % 7 === 0 ? null : Buffer.alloc(i));
    await writer.flush();
    host = new LogHost(log, [TOPIC]);
    asked = [];
    remote = new RemoteLog(async (ask) => {
      asked.push(ask.op);
      try {
        return across(await host.answer(across(ask)));
      } catch (error) {
        const { code, message } = across(refusalOf(error));
        throw new FreshetError(code, message);
      }
    });
  });

  test('answers as the log does', async () => {
    assert.equal(await remote.partitionCount(TOPIC), 1);
    assert.deepEqual(await remote.offsets(AT), await log.offsets(AT));
    assert.equal(await remote.admin.topicId(TOPIC), await log.admin.topicId(TOPIC));
  });

  test('reads the same rows to the same positions', async () => {
    const options = { isolation: 'read_committed', maxBytesPerPartition: 100, maxWaitMs: 1 } as const;
    const own = log.reader([{ ...AT, offset: 3 }], options);
    const other = remote.reader([{ ...AT, offset: 3 }], options);
    for (let i = 0; i < 10; i++) {
      assert.deepEqual(rowsOf(await other.poll()), rowsOf(await own.poll()));
      assert.equal(other.position(AT), own.position(AT));
    }
    await other.close();
    await assert.rejects(host.answer({ op: 'poll', reader: 1, paused: [] }), (error) => hasCode(error, 'state'));
  });

  test('pauses and resumes', async () => {
    const reader = remote.reader([{ ...AT, offset: 0 }], { maxWaitMs: 1, maxBytesPerPartition: 100 });
    reader.pause(AT);
    assert.deepEqual(await reader.poll(), []);
    reader.resume(AT);
    assert.ok((await reader.poll()).length > 0);
  });

  test('opens nothing before it is read', async () => {
    const reader = remote.reader([{ ...AT, offset: 0 }]);
    await reader.close();
    assert.deepEqual(asked, []);
  });

  test('tells errors with their codes', async () => {
    const gone = remote.reader([{ ...AT, offset: 1_000 }]);
    await assert.rejects(gone.poll(), (error) => hasCode(error, 'offset_out_of_range'));
  });

  test('gives nothing of other topics', async () => {
    const refused = (error: unknown) => hasCode(error, 'access');
    const users = { topic: 'users', partition: 0 };
    await assert.rejects(remote.partitionCount('users'), refused);
    await assert.rejects(remote.offsets(users), refused);
    await assert.rejects(remote.admin.topicId('users'), refused);
    await assert.rejects(remote.reader([{ ...users, offset: 0 }]).poll(), refused);
  });

  test('closes what was left open', async () => {
    const reader = remote.reader([{ ...AT, offset: 0 }]);
    await reader.poll();
    await host.close();
    await assert.rejects(reader.poll(), (error) => hasCode(error, 'state'));
  });
});
