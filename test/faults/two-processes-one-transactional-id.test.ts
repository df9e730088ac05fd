/**
 * I3: two processes that both believe they own the same tasks. The later one fences the earlier one, which ends its
 * tasks, once each, because the group does not confirm that they are still its own; what both have written counts once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const ROUNDS = 3;

test('two processes with the same transactional ids: the later one wins, once', { timeout: 180_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const plan = { steps: [], pinned: { tasks: null, confirmed: false } };
  scene.sender.start();
  const owners = [scene.start({ name: 'owner-0', plan })];
  await owners[0]!.holds(scene.tasks);
  for (let round = 1; round <= ROUNDS; round++) {
    const next = scene.start({ name: `owner-${round}`, plan });
    await next.holds(scene.tasks);
    // The earlier one finds out at its next commit, which the load causes soon.
    await owners.at(-1)!.holds(0);
    owners.push(next);
  }
  const verdict = await scene.settled();
  const winner = owners.at(-1)!;
  for (const member of owners) {
    assert.equal(member.restores, scene.tasks, `${member.name} took tasks again`);
    assert.equal(member.failures('fenced'), member === winner ? 0 : scene.tasks, `fencing errors of ${member.name}`);
  }
  const name = 'two-processes-one-transactional-id';
  report(name, { faults: ROUNDS, kills: 0, verdict, restoreSeconds: scene.restoreSeconds });
  await Promise.all(owners.map((member) => member.stop()));
});
