/**
 * I1, I2, I4, I5: repeated kill -9, at random steps of commits, restores, checkpoints and sink batches, of two
 * processors and a publisher at once, each restarted at once. Every hundred kills the load pauses, and everything is
 * recounted.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../support/random.js';
import type { Verdict } from './harness/checker.js';
import type { FaultPoint } from './harness/fault-points.js';
import type { Member } from './harness/member.js';
import type { FaultPlan } from './harness/plan.js';
import { isFull, report, seed } from './harness/report.js';
import { Scene } from './harness/scene.js';

/** FAULT_KILLS overrides the number. */
const KILLS = Number(process.env['FAULT_KILLS'] ?? (isFull ? 1_000 : 40));
const KILLS_PER_CHECK = 100;
const EVENTS_PER_SECOND = 120;
const PASSING_MAX = 8;
/** From its first output on; if a step is not reached by then, the kill happens anywhere. */
const PATIENCE_MS_MAX = 2_000;

const TASK_POINTS: readonly FaultPoint[] = [
  'restore.begin',
  'restore.fenced',
  'restore.checkpoint_loaded',
  'restore.changelog_read',
  'restore.replayed',
  'commit.begin',
  'commit.written',
  'commit.partitions_added',
  'commit.produced',
  'commit.ended',
  'commit.acknowledged',
  'checkpoint.copied',
  'checkpoint.written',
  'checkpoint.renamed',
];
const SINK_POINTS: readonly FaultPoint[] = [
  'sink.opened',
  'sink.batch_taken',
  'sink.batch_applied',
  'sink.batch_noted',
];

/** A place that is never left empty: a killed member is followed by the next. */
interface Place {
  readonly name: string;
  readonly roles: readonly ('processor' | 'publisher')[];
  readonly tasks: readonly number[] | null;
  readonly points: readonly FaultPoint[];
}

test(`${KILLS} kills at random steps: nothing lost or duplicated`, { timeout: 120 * 60_000 }, async (t) => {
  const scene = await Scene.open(t, { stores: true, eventsPerSecond: EVENTS_PER_SECOND });
  if (scene === null) return;
  let kills = 0;
  let atPoints = 0;
  let verdict: Verdict | null = null;
  for (let round = 0; kills < KILLS; round++) {
    const places = placesOf(scene, round);
    const enough = Math.min(KILLS - places.length, kills + KILLS_PER_CHECK);
    scene.sender.start();
    const last = await Promise.all(
      places.map(async (place, i) => {
        const random = new Random(seed * 1_000_003 + kills * 31 + i);
        while (kills < enough) {
          kills++;
          if (await startAndKill(scene, place, random)) atPoints++;
        }
        return start(scene, place, []);
      }),
    );
    verdict = await scene.settled();
    console.log(`${kills} kills, ${atPoints} of them at a named step: ${JSON.stringify(verdict)}`);
    for (const member of last) await member.kill();
    kills += last.length;
  }
  assert.ok(verdict !== null && verdict.counted > 0);
  report('many-kills', { faults: kills, kills, verdict, restoreSeconds: scene.restoreSeconds });
});

/** Two processors and a publisher. From round to round the tasks swap sides, and find checkpoints that are old. */
function placesOf(scene: Scene, round: number): Place[] {
  const half = (side: number) => scene.taskNames.map((_, task) => task).filter((task) => (task + round) % 2 === side);
  return [
    { name: 'left', roles: ['processor'], tasks: half(0), points: TASK_POINTS },
    { name: 'right', roles: ['processor'], tasks: half(1), points: TASK_POINTS },
    { name: 'publisher', roles: ['publisher'], tasks: null, points: SINK_POINTS },
  ];
}

/** Returns whether it was killed at the step of its plan. */
async function startAndKill(scene: Scene, place: Place, random: Random): Promise<boolean> {
  const point = place.points[random.below(place.points.length)]!;
  const passing = 1 + random.below(PASSING_MAX);
  const member = start(scene, place, [{ point, passing, does: 'kill' }]);
  const met = member.faultMet().then(() => true);
  met.catch(() => undefined);
  await member.until('say anything', () => member.lines.length > 0);
  const patience = new AbortController();
  const late = pause(random.below(PATIENCE_MS_MAX), false, { signal: patience.signal }).catch(() => false);
  const isMet = await Promise.race([met, late]);
  patience.abort();
  await member.kill();
  return isMet;
}

function start(scene: Scene, { name, roles, tasks }: Place, steps: FaultPlan['steps']): Member {
  return scene.start({ name, roles, plan: { steps, pinned: { tasks, confirmed: true } } });
}
