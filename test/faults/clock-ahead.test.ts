/**
 * I37: a start with a clock that is months from the newest record of the log is refused before anything is written, and
 * can be accepted by the operator.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { DAY_MS } from '../../topics/time.js';
import { ManualClock } from '../support/manual-clock.js';
import { EmbeddedScene } from './harness/embedded-scene.js';
import { report } from './harness/report.js';

const EVENTS = 500;

test('the clock is months from the newest record', { timeout: 300_000 }, async (t) => {
  const scene = await EmbeddedScene.filled(t, EVENTS);
  // The newest record is of the day on which the clock was wrong; the clock is right again.
  const clock = new ManualClock(Date.now() + 120 * DAY_MS);
  const log = await openEmbeddedLog(scene.logFolder, silentLogger, { clock, acceptClockJump: true });
  const writer = await log.writer(['dead-letters']);
  writer.add('dead-letters', Buffer.from('k'), Buffer.from('v'));
  await writer.flush();
  await log.close();
  const errors = await scene.refusal();
  assert.match(errors, /120\.0 days before the newest record.*ACCEPT_CLOCK_JUMP=true/s);
  await scene.deployment.start({ ACCEPT_CLOCK_JUMP: 'true' });
  const verdict = await scene.verify();
  assert.equal(verdict.events, EVENTS, 'the refused start wrote nothing');
  report('clock-ahead', { faults: 1, kills: 0, verdict });
});
