/**
 * I3: the event loop of a member is blocked past its session and its transactions, between two steps of a commit: no
 * heartbeat, no timer, full sockets. Its writes are ended by the broker or by the next owner, and count once.
 */
import { test } from 'node:test';
import { Random } from '../support/random.js';
import type { FaultPoint } from './harness/fault-points.js';
import { assertFencedOnce } from './harness/fencing.js';
import { report, seed } from './harness/report.js';
import { Scene } from './harness/scene.js';

const BLOCKED_MS = 12_000;
const POINTS: readonly FaultPoint[] = ['commit.partitions_added', 'commit.produced'];

test('an event loop blocked past the session: the others continue, nothing counts twice', {
  timeout: 240_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const random = new Random(seed);
  const point = POINTS[random.below(POINTS.length)]!;
  const where = random.below(2) === 0 ? 'activity' : 'popularity';
  scene.sender.start();
  const step = { point, where, passing: 20 + random.below(20), does: 'block', ms: BLOCKED_MS } as const;
  const blocked = scene.start({ name: 'blocked', plan: { steps: [step] } });
  await blocked.faultMet();
  const since = Date.now();
  const other = scene.start({ name: 'other' });
  await other.said('get tasks', ({ event, tasks }) => event === 'tasks_assigned' && tasks!.length > 0);
  await blocked.holds(scene.tasks / 2);
  await other.holds(scene.tasks / 2);
  await scene.committed(100);
  const stallMs = scene.commits.longestGapMs(since, Date.now());
  const verdict = await scene.settled();
  assertFencedOnce(blocked, scene.taskNames);
  assertFencedOnce(other, blocked.held);
  report('event-loop-block', { faults: 1, kills: 0, verdict, stallMs, restoreSeconds: scene.restoreSeconds });
  await Promise.all([blocked.stop(), other.stop()]);
});
