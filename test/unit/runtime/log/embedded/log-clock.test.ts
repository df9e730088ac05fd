/** A wrong clock of the machine: at the start of the log, and while it is open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { boundedClock } from '../../../../../runtime/log/embedded/log-clock.js';
import type { Clock } from '../../../../../runtime/process/clock.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { DAY_MS } from '../../../../../topics/time.js';
import { ManualClock, SkewedClock } from '../../../../support/manual-clock.js';
import { makeFolder } from './folders.js';
import { readPartition, topicConfig } from './support.js';

const NOON = Date.parse('2026-03-01T12:00:00Z');

async function writeOne(folder: string, clock: Clock, options: { acceptClockJump?: boolean } = {}): Promise<number> {
  const log = await openEmbeddedLog(folder, silentLogger, { clock, ...options });
  try {
    if ((await log.admin.describeTopic('t')) === null)
      await log.admin.createTopic(topicConfig('t', { logAppendTime: true }));
    const writer = await log.writer(['t']);
    writer.add('t', null, Buffer.from('x'));
    await writer.flush();
    return (await readPartition(log, 't')).at(-1)!.timestamp;
  } finally {
    await log.close();
  }
}

test('I37: a start with a clock far from the newest record is refused with a sentence, and can be accepted', async () => {
  for (const [offMs, words] of [
    [120 * DAY_MS, /shows 2026-06-29T12:00:00\.000Z, 120\.0 days after the newest record/],
    [-2 * DAY_MS, /2\.0 days before the newest record/],
  ] as const) {
    const folder = await makeFolder();
    await writeOne(folder, new ManualClock(NOON));
    await assert.rejects(writeOne(folder, new ManualClock(NOON + offMs)), (error: Error) => {
      assert.ok(hasCode(error, 'state'));
      assert.match(error.message, words);
      assert.match(error.message, /ACCEPT_CLOCK_JUMP=true/);
      return true;
    });
    assert.equal(await writeOne(folder, new ManualClock(NOON + 1000)), NOON + 1000, 'the refused start wrote nothing');
    const accepted = await writeOne(folder, new ManualClock(NOON + offMs), { acceptClockJump: true });
    assert.equal(accepted, Math.max(NOON + 1000, NOON + offMs), 'log time never goes back');
  }
});

test('a pause of weeks and a correction of hours are no reason to refuse a start', async () => {
  const folder = await makeFolder();
  await writeOne(folder, new ManualClock(NOON));
  assert.equal(await writeOne(folder, new ManualClock(NOON + 29 * DAY_MS)), NOON + 29 * DAY_MS);
  assert.equal(await writeOne(folder, new ManualClock(NOON + 29 * DAY_MS - DAY_MS / 2)), NOON + 29 * DAY_MS);
});

test('I37: a machine that slept is no wrong clock, and the uptime is asked for only when the clock seems ahead', async () => {
  const right = new ManualClock(NOON);
  let sleptMs = 0;
  let asked = 0;
  const clock: Clock = {
    now: () => right.now() + sleptMs,
    elapsed: () => right.elapsed(),
    sleep: (ms, signal) => right.sleep(ms, signal),
  };
  const elapsedMs = () => {
    asked++;
    return right.elapsed() + sleptMs;
  };
  const bounded = boundedClock(clock, elapsedMs, silentLogger);
  for (let i = 0; i < 1_000; i++) {
    right.advance(10);
    assert.equal(bounded.now(), clock.now());
  }
  assert.equal(asked, 1);
  sleptMs = 8 * 3_600_000;
  for (let i = 0; i < 1_000; i++) {
    right.advance(10);
    assert.equal(bounded.now(), clock.now());
  }
  assert.equal(asked, 2);
});

test('I37: while the log is open, log time is at most a minute ahead of the time that has passed', async () => {
  const right = new ManualClock(NOON);
  const clock = new SkewedClock(right);
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger, { clock, elapsedMs: () => right.now() });
  await log.admin.createTopic(topicConfig('t', { logAppendTime: true }));
  const writer = await log.writer(['t']);
  const append = async () => {
    writer.add('t', null, Buffer.from('x'));
    await writer.flush();
    return (await readPartition(log, 't')).at(-1)!.timestamp;
  };
  assert.equal(await append(), NOON);
  right.advance(5000);
  clock.skewMs = 30_000;
  assert.equal(await append(), NOON + 35_000, 'a small correction is followed');
  clock.skewMs = 120 * DAY_MS;
  assert.equal(await append(), NOON + 65_000);
  right.advance(10_000);
  assert.equal(await append(), NOON + 75_000);
  clock.skewMs = 0;
  right.advance(120_000);
  assert.equal(await append(), NOON + 135_000, 'the right clock is followed again');
  await log.close();
});
