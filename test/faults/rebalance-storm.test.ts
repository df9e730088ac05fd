/**
 * I1, I3: members join and leave constantly under load, some on request (SIGTERM), some killed, some killed during a
 * restore. Tasks keep moving; every event counts once, and work never stops.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../support/random.js';
import type { Member } from './harness/member.js';
import { isFull, report, seed } from './harness/report.js';
import { Scene } from './harness/scene.js';

const STORM_MS = isFull ? 60_000 : 20_000;
const MEMBERS_MAX = 3;
const BREATH_MS_MAX = 2_500;

test('members join and leave for a minute under load: nothing lost or duplicated', {
  timeout: 280_000,
}, async (t) => {
  const scene = await Scene.open(t, { stores: true });
  if (scene === null) return;
  const random = new Random(seed);
  scene.sender.start();
  const steady = scene.start({ name: 'steady' });
  const publisher = scene.start({ name: 'publisher', roles: ['publisher'] });
  await steady.holds(scene.tasks);
  await scene.committed(20);
  const started = Date.now();
  let comers: Member[] = [];
  let kills = 0;
  let changes = 0;
  while (Date.now() < started + STORM_MS) {
    changes++;
    const joins = comers.length === 0 || (comers.length < MEMBERS_MAX && random.below(2) === 0);
    if (joins) comers.push(scene.start({ name: `comer-${changes}` }));
    else {
      const leaver = comers[random.below(comers.length)]!;
      comers = comers.filter((member) => member !== leaver);
      if (random.below(2) === 0) {
        kills++;
        await leaver.kill();
      } else await leaver.stop();
    }
    await pause(random.below(BREATH_MS_MAX));
  }
  await Promise.all(comers.map((member) => member.stop()));
  await steady.holds(scene.tasks);
  await scene.committed(20);
  const stallMs = scene.commits.longestGapMs(started, Date.now());
  const verdict = await scene.settled();
  const stopped = scene.members.flatMap(({ lines }) => lines).filter(({ event }) => event === 'task_stopped');
  assert.deepEqual(stopped, [], 'a task gave up');
  report('rebalance-storm', { faults: changes, kills, verdict, stallMs, restoreSeconds: scene.restoreSeconds });
  await Promise.all([steady.stop(), publisher.stop()]);
});
