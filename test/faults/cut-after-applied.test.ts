/**
 * I1, I4: the connection is cut after the broker has carried out a request and before its answer arrives, at every
 * request of a transaction. The sender cannot know the outcome; still, everything counts once, and no task starts over.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API } from '../support/services/fault-proxy.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const TASKS = ['features.v1.activity-0', 'features.v1.popularity-1'];
const ROUNDS = 3;

test('cut after it was applied, each request of a transaction: nothing lost or duplicated', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t, { proxy: true });
  if (scene === null) return;
  const { proxy } = scene;
  scene.sender.start();
  const beginning = TASKS.map((task) => proxy!.next(API.InitProducerId, 'lose-answer', task));
  const member = scene.start();
  await Promise.all(beginning);
  await member.holds(scene.tasks);
  let faults = beginning.length;
  for (let round = 0; round < ROUNDS; round++) {
    for (const task of TASKS) {
      await proxy!.next(API.AddPartitionsToTxn, 'lose-answer', task);
      await proxy!.next(API.Produce, 'lose-answer', task);
      // The new writer that asks for the outcome of the commit is cut off as well.
      const again = proxy!.next(API.InitProducerId, 'lose-answer', task);
      const from = member.lines.length;
      await proxy!.next(API.EndTxn, 'lose-answer', task);
      await again;
      await member.said('ask for the outcome of a commit', ({ event }) => event === 'commit_outcome_unknown', from);
      faults += 4;
    }
  }
  const verdict = await scene.settled();
  assert.equal(member.restores, scene.tasks, 'a cut connection costs no restore');
  assert.equal(member.lines.filter(({ event }) => event === 'task_failed').length, 0);
  report('cut-after-applied', { faults, kills: 0, verdict, restoreSeconds: scene.restoreSeconds });
  await member.stop();
});
