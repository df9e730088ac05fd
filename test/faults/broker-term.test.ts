/**
 * I1, I20: the broker is restarted in order (TERM) under load, on the same data: members keep their tasks, tasks their
 * memory. No task restores from scratch, nothing is lost and nothing counts twice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isFull, report } from './harness/report.js';
import { Scene } from './harness/scene.js';

/** How long the broker stays down, ms; the last is longer than the time-out of any single request. */
const ABSENCES_MS = isFull ? [0, 0, 15_000] : [0];
const COMMITS_BETWEEN = 40;

test('a broker restarted in order under load: no task restores, nothing lost or duplicated', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  scene.sender.start();
  const member = scene.start();
  await member.holds(scene.tasks);
  const started = Date.now();
  let downMs = 0;
  for (const absenceMs of ABSENCES_MS) {
    await scene.committed(COMMITS_BETWEEN);
    const down = performance.now();
    await scene.broker.terminate();
    await pause(absenceMs);
    await scene.broker.start();
    downMs = Math.max(downMs, performance.now() - down);
    await scene.committed(COMMITS_BETWEEN);
  }
  await scene.commits.advance();
  const stallMs = scene.commits.longestGapMs(started, Date.now());
  const verdict = await scene.settled();
  assert.equal(member.restores, scene.tasks, 'a restart of the broker costs no restore');
  const revoked = member.lines.filter(({ event }) => event === 'tasks_revoked');
  assert.equal(revoked.length, 0, 'no member gives up its tasks');
  t.diagnostic(`broker down for up to ${Math.round(downMs)} ms, longest stall ${stallMs} ms`);
  report('broker-term', {
    faults: ABSENCES_MS.length,
    kills: 0,
    verdict,
    stallMs,
    restoreSeconds: scene.restoreSeconds,
  });
  await member.stop();
});
