/**
 * I1, I2: kill -9 between every two steps of writing a checkpoint. The next process finds the old one or the new one,
 * complete, or none; each of them leads to the same state.
 */
import { test } from 'node:test';
import type { FaultPoint } from './harness/fault-points.js';
import { ALONE, killAtEach } from './harness/kills.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const POINTS: readonly FaultPoint[] = ['checkpoint.copied', 'checkpoint.written', 'checkpoint.renamed'];
const PASSING_MAX = 3;

test('killed between any two steps of a checkpoint: nothing lost or duplicated', { timeout: 280_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  scene.sender.start();
  const kills = await killAtEach(scene, POINTS, PASSING_MAX);
  const last = scene.start({ plan: { steps: [], pinned: ALONE } });
  await last.holds(scene.tasks);
  const verdict = await scene.settled();
  report('kill-between-checkpoint-steps', { faults: kills, kills, verdict, restoreSeconds: scene.restoreSeconds });
  await last.stop();
});
