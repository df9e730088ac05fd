/**
 * I1, I2: kill -9 between every two steps of a restore, so that a restore is itself restored, from the changelog alone
 * and from a checkpoint. The remains of an unfinished one change nothing.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FaultPoint } from './harness/fault-points.js';
import { ALONE, killAtEach } from './harness/kills.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const COMMITS_BEFORE = 20;
const TIMEOUT_MS = 280_000;

test('killed between any two steps of a restore from the changelog', { timeout: TIMEOUT_MS }, (t) =>
  survives(t, 'changelog', ['restore.begin', 'restore.fenced', 'restore.changelog_read', 'restore.replayed']),
);

test('killed between any two steps of a restore from a checkpoint', { timeout: TIMEOUT_MS }, (t) =>
  survives(t, 'checkpoint', ['restore.begin', 'restore.fenced', 'restore.checkpoint_loaded', 'restore.replayed']),
);

async function survives(t: TestContext, from: string, points: readonly FaultPoint[]): Promise<void> {
  const scene = await Scene.open(t);
  if (scene === null) return;
  let folders = 0;
  // A new folder is one without checkpoints.
  const name = () => (from === 'checkpoint' ? 'one' : `one-${++folders}`);
  scene.sender.start();
  const first = scene.start({ name: name(), plan: { steps: [], pinned: ALONE } });
  await scene.committed(COMMITS_BEFORE);
  await first.stop();
  // One of the two tasks of a processor: the other may or may not be restored by then.
  const kills = await killAtEach(scene, points, 2, name);
  const last = scene.start({ name: name(), plan: { steps: [], pinned: ALONE } });
  await last.holds(scene.tasks);
  const verdict = await scene.settled();
  const restored = last.lines.filter(({ event }) => event === 'task_restored');
  assert.deepEqual([...new Set(restored.map((line) => line.from))], [from]);
  const restoreSeconds = scene.restoreSeconds;
  report(`kill-between-restore-steps (${from})`, { faults: kills, kills, verdict, restoreSeconds });
  await last.stop();
}
