import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SharedWriter } from '../../../ingest/shared-writer.js';
import { FreshetError, hasCode } from '../../../runtime/process/errors.js';
import { ScriptedLog, written } from '../../support/scripted-log.js';

const record = (value: string, key = 'k') => ({ topic: 'events', key: Buffer.from(key), value: Buffer.from(value) });

async function make(options: { waitMsMax?: number; queuedBytesMax?: number; flushBytesMax?: number } = {}) {
  const log = await ScriptedLog.of(['events']);
  const writer = new SharedWriter(log, {
    topics: ['events'],
    waitMsMax: 60_000,
    queuedBytesMax: 1_000_000,
    ...options,
  });
  return { log, writer };
}

const values = async (log: ScriptedLog) => (await written(log, 'events')).map(({ value }) => value?.toString());

describe('SharedWriter', () => {
  it('gathers requests that arrive during a flush for the next one, in order', async () => {
    const { log, writer } = await make();
    const { begun, release } = log.holdNext();
    const first = writer.write([record('a')]);
    await begun;
    const others = ['b', 'c', 'd'].map((value) => writer.write([record(value)]));
    release();
    await Promise.all([first, ...others]);
    assert.deepEqual(log.flushes, [1, 3]);
    assert.deepEqual(await values(log), ['a', 'b', 'c', 'd']);
    assert.equal(log.writersOpened, 1);
    await writer.close();
  });

  it('limits the size of a flush', async () => {
    const { log, writer } = await make({ flushBytesMax: 200 });
    const { begun, release } = log.holdNext();
    const first = writer.write([record('a')]);
    await begun;
    const others = Array.from({ length: 6 }, () => writer.write([record('x'.repeat(50))]));
    release();
    await Promise.all([first, ...others]);
    assert.deepEqual(log.flushes, [1, 2, 2, 2]);
    await writer.close();
  });

  it('fails every request of a failed flush, and starts a new writer', async () => {
    const { log, writer } = await make();
    const { begun, release } = log.holdNext();
    const first = writer.write([record('a')]);
    await begun;
    log.failNext(new FreshetError('connection', 'gone'));
    const second = writer.write([record('b')]);
    const third = writer.write([record('c')]);
    const failed = Promise.all([assert.rejects(second, /gone/), assert.rejects(third, /gone/)]);
    release();
    await first;
    await failed;
    await writer.write([record('d')]);
    assert.deepEqual(await values(log), ['a', 'd']);
    assert.equal(log.writersOpened, 2);
    await writer.close();
    assert.equal(log.writersOpen, 0);
  });

  it('refuses too large a record before anything is written', async () => {
    const { log, writer } = await make();
    const large = { topic: 'events', key: Buffer.from('k'), value: Buffer.alloc(512 * 1024) };
    await assert.rejects(writer.write([record('a'), large]), (error) => hasCode(error, 'record_too_large'));
    assert.equal(log.writersOpened, 0);
    await writer.close();
  });

  it('refuses at once when too much is waiting, and accepts again when the log has caught up', async () => {
    const { log, writer } = await make({ queuedBytesMax: 300 });
    const { begun, release } = log.holdNext();
    const first = writer.write([record('x'.repeat(100))]);
    await begun;
    const second = writer.write([record('b')]);
    await assert.rejects(writer.write([record('x'.repeat(100))]), (error) => hasCode(error, 'unavailable'));
    release();
    await Promise.all([first, second]);
    await writer.write([record('x'.repeat(100))]);
    await writer.close();
  });

  it('waits no longer than the limit; requests not yet started are withdrawn', async () => {
    const { log, writer } = await make({ waitMsMax: 20 });
    const { begun, release } = log.holdNext();
    const first = writer.write([record('a')]);
    await begun;
    const second = writer.write([record('b')]);
    await Promise.all([
      assert.rejects(first, (error) => hasCode(error, 'timeout')),
      assert.rejects(second, (error) => hasCode(error, 'timeout')),
    ]);
    release();
    await writer.write([record('c')]);
    assert.deepEqual(await values(log), ['a', 'c'], 'the first was in a flush, the second was not');
    await writer.close();
  });

  it('closes after the flush in progress, and accepts nothing more', async () => {
    const { log, writer } = await make();
    const { begun, release } = log.holdNext();
    const first = writer.write([record('a')]);
    await begun;
    const closing = writer.close();
    await assert.rejects(writer.write([record('b')]), (error) => hasCode(error, 'unavailable'));
    assert.equal(log.writersOpen, 1, 'not closed during the flush');
    release();
    await Promise.all([first, closing]);
    await writer.close();
    assert.deepEqual([await values(log), log.writersOpen], [['a'], 0]);
  });

  it('reports a topic that does not exist', async () => {
    const log = await ScriptedLog.of([]);
    const writer = new SharedWriter(log, { topics: ['events'], waitMsMax: 1000, queuedBytesMax: 1000 });
    await assert.rejects(writer.write([record('a')]), (error) => hasCode(error, 'unknown_topic'));
    await writer.close();
  });
});
