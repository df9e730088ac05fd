/**
 * I1, I2: kill -9 between every two steps of a restore, so that a restore is itself restored, from the changelog alone
 * and from a checkpoint. What a half-done one has left behind changes nothing.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FaultPoint } from '../../runtime/fault-points.js';
import { Random } from '../support/random.js';
import { report, seed } from './harness/report.js';
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
  const random = new Random(seed);
  const pinned = { tasks: null, confirmed: true };
  let folders = 0;
  // A folder of its own is one without checkpoints.
  const name = () => (from === 'checkpoint' ? 'one' : `one-${++folders}`);
  scene.sender.start();
  const first = scene.start({ name: name(), plan: { steps: [], pinned } });
  await scene.committed(COMMITS_BEFORE);
  await first.stop();
  let kills = 0;
  for (const where of ['activity', 'popularity']) {
    for (const point of points) {
      // Either of two tasks of a processor: others are restored by then, or not.
      const passing = 1 + random.below(2);
      const plan = { steps: [{ point, where, passing, does: 'kill' } as const], pinned };
      const member = scene.start({ name: name(), plan });
      await member.faultMet();
      await member.end();
      kills++;
    }
  }
  const last = scene.start({ name: name(), plan: { steps: [], pinned } });
  await last.holds(scene.tasks);
  const verdict = await scene.settled();
  const restored = last.lines.filter(({ event }) => event === 'task_restored');
  assert.deepEqual([...new Set(restored.map((line) => line.from))], [from]);
  const restoreSeconds = scene.restoreSeconds;
  report(`kill-between-restore-steps (${from})`, { faults: kills, kills, verdict, restoreSeconds });
  await last.stop();
}
