/**
 * I1, I4, I20: kill -9 of the broker in the middle of a task's transaction, at each of its steps, and a start on the
 * same data. The transaction either commits or aborts, the task finds out which, and no task restores from scratch.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API } from '../support/services/fault-proxy.js';
import { isFull, report, seed } from './harness/report.js';
import { Scene } from './harness/scene.js';

/** State when the broker dies: only opened; everything written; the end requested but not answered. */
const STEPS = [
  { api: API.Produce, fault: 'lose-request' },
  { api: API.EndTxn, fault: 'lose-request' },
  { api: API.EndTxn, fault: 'lose-answer' },
] as const;
/** A killed broker takes seconds to restart, so a sample includes only one kill. */
const KILLS = isFull ? STEPS : [STEPS[seed % STEPS.length]!];

test('the broker is killed in the middle of a transaction: no task restores, nothing lost or duplicated', {
  timeout: 180_000,
}, async (t) => {
  const scene = await Scene.open(t, { proxy: true });
  if (scene === null) return;
  scene.sender.start();
  const member = scene.start();
  await member.holds(scene.tasks);
  const started = Date.now();
  for (const [kill, { api, fault }] of KILLS.entries()) {
    await scene.committed(20);
    await scene.proxy!.next(api, fault, `features.v1.${kill % 2 === 0 ? 'activity-1' : 'popularity-2'}`);
    await scene.broker.kill();
    scene.proxy!.cutAll();
    await scene.broker.start();
  }
  await scene.committed(20);
  const stallMs = scene.commits.longestGapMs(started, Date.now());
  const verdict = await scene.settled();
  assert.equal(member.restores, scene.tasks, 'the death of a broker costs no restore');
  assert.equal(member.lines.filter(({ event }) => event === 'tasks_revoked').length, 0, 'no member gives up its tasks');
  const kills = KILLS.length;
  report('broker-kill-mid-transaction', {
    faults: kills,
    kills,
    verdict,
    stallMs,
    restoreSeconds: scene.restoreSeconds,
  });
  await member.stop();
});
