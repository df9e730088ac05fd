/**
 * I3: a member is stopped (SIGSTOP) for longer than its session and its transactions last, in the middle of a commit;
 * another takes its tasks; then it wakes up. It is fenced, at most once per task, and gives way without fencing back.
 */
import { test } from 'node:test';
import { Random } from '../support/random.js';
import type { FaultPoint } from './harness/fault-points.js';
import { assertFencedOnce } from './harness/fencing.js';
import { report, seed } from './harness/report.js';
import { Scene } from './harness/scene.js';

/** Session 8 s, transaction 5 s, and the broker checks for expired transactions every 10 s. */
const STOPPED_MS = 17_000;
const POINTS: readonly FaultPoint[] = ['commit.partitions_added', 'commit.produced', 'commit.ended'];

test('a member that wakes up after its session and its transactions: fenced once, no ping-pong', {
  timeout: 240_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const random = new Random(seed);
  const point = POINTS[random.below(POINTS.length)]!;
  scene.sender.start();
  const sleeper = scene.start({
    name: 'sleeper',
    plan: { steps: [{ point, passing: 100 + random.below(100), does: 'stop', ms: STOPPED_MS }] },
  });
  await sleeper.faultMet();
  const asleep = Date.now();
  const other = scene.start({ name: 'other' });
  await other.holds(scene.tasks);
  // Once awake, it learns that the group has moved on, rejoins and gets its share.
  await sleeper.holds(scene.tasks / 2);
  await other.holds(scene.tasks / 2);
  await scene.committed(100);
  const stallMs = scene.commits.longestGapMs(asleep, Date.now());
  const verdict = await scene.settled();
  assertFencedOnce(sleeper, scene.taskNames);
  // A task that moves back may be fenced in its last commit; one that stays must not be affected at all.
  assertFencedOnce(other, sleeper.held);
  report('sigstop-past-session', { faults: 1, kills: 0, verdict, stallMs, restoreSeconds: scene.restoreSeconds });
  await Promise.all([sleeper.stop(), other.stop()]);
});
