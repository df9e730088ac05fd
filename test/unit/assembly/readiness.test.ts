/** What a process reports as not ready. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadinessWatch } from '../../../assembly/readiness.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import { memoryLog } from '../../support/publishing.js';

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a log that refuses, or does not answer, is named, and so is its return', async () => {
  const log = await memoryLog(1);
  const offsets = log.offsets.bind(log);
  let answer: () => Promise<void> = async () => undefined;
  log.offsets = async (at) => {
    await answer();
    return await offsets(at);
  };
  const ending = new AbortController();
  const watch = new ReadinessWatch();
  assert.deepEqual(watch.current().waiting, ['the start']);
  const following = watch.follow({ applications: [], others: () => [], stores: null, log }, systemClock, ending.signal);
  await watch.ready;
  answer = () => Promise.reject(new FreshetError('connection', 'broker-1 is away'));
  await until('it is named', () => !watch.current().ready);
  assert.deepEqual(watch.current().waiting, ['the log, which does not answer']);
  assert.match(Object.values(watch.current().reasons ?? {}).join(), /broker-1 is away/);
  answer = async () => undefined;
  await until('it is ready again', () => watch.current().ready);
  let release = () => {};
  answer = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  await until('silence is named', () => !watch.current().ready);
  answer = async () => undefined;
  release();
  await until('it is ready again', () => watch.current().ready);
  ending.abort();
  await following;
});
