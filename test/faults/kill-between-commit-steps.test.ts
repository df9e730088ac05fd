/**
 * I1, I4: kill -9 between every two steps of a commit, of the tasks that read events and of those after the hop. The
 * next process commits or aborts the transaction, and everything counts once.
 */
import { test } from 'node:test';
import type { FaultPoint } from './harness/fault-points.js';
import { ALONE, killAtEach } from './harness/kills.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const POINTS: readonly FaultPoint[] = [
  'commit.begin',
  'commit.written',
  'commit.partitions_added',
  'commit.produced',
  'commit.ended',
  'commit.acknowledged',
];
const PASSING_MAX = 6;

test('killed between any two steps of a commit: nothing lost or duplicated', { timeout: 280_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  scene.sender.start();
  const kills = await killAtEach(scene, POINTS, PASSING_MAX);
  const last = scene.start({ plan: { steps: [], pinned: ALONE } });
  await last.holds(scene.tasks);
  const verdict = await scene.settled();
  report('kill-between-commit-steps', { faults: kills, kills, verdict, restoreSeconds: scene.restoreSeconds });
  await last.stop();
});
