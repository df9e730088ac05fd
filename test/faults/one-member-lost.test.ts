/**
 * Losing one member does not affect the others: they keep their tasks, restore only those of the lost one, and continue
 * committing while the group waits for its session. Popularity pauses for at most 20 s if the lost member owned it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Member } from './harness/member.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const MEMBERS = 3;
const STALL_MS_MAX = 20_000;
/** Commits per task of the others, while those of the lost one have no owner; 8 s of session allow about 80. */
const COMMITS_MIN = 10;

test('one member of three is killed: its tasks move, those of the others continue undisturbed', {
  timeout: 240_000,
}, async (t) => {
  const scene = await Scene.open(t, { partitions: 2, stores: true });
  if (scene === null) return;
  scene.sender.start();
  const publisher = scene.start({ name: 'publisher', roles: ['publisher'] });
  const members: Member[] = [];
  for (let i = 0; i < MEMBERS; i++) {
    members.push(scene.start({ name: `member-${i}` }));
    await members[i]!.said('get tasks', ({ event, tasks }) => event === 'tasks_assigned' && tasks!.length > 0);
  }
  await Promise.all(members.map((member) => member.holds(scene.tasks / MEMBERS)));
  const lost = members.find((member) => member.held.some(isPopularity))!;
  const others = members.filter((member) => member !== lost);
  const kept = others.map((member) => ({ member, tasks: member.held, lines: member.lines.length }));
  await scene.committed(50);

  const killedAt = Date.now();
  await lost.kill();
  await Promise.all(others.map((member) => member.holds(scene.tasks / others.length)));
  const takenAt = Date.now();
  await scene.committed(50);
  const stallMs = scene.commits.longestGapMs(killedAt, Date.now());
  const undisturbed = kept.flatMap(({ tasks }) => tasks.filter(isPopularity)).map(numberOf);
  const meanwhile = undisturbed.map((task) => scene.commits.between(killedAt, takenAt, task));
  const verdict = await scene.settled();

  for (const { member, tasks, lines } of kept) {
    const since = member.lines.slice(lines);
    const again = since.filter(({ event, task }) => event === 'task_restored' && tasks.includes(task!));
    assert.deepEqual(again, [], `${member.name} restored what it had`);
    const failed = since.filter(({ event }) => event === 'task_failed');
    assert.deepEqual(failed, [], `tasks of ${member.name} failed`);
  }
  assert.ok(Math.min(...meanwhile) >= COMMITS_MIN, `commits of the others meanwhile: ${meanwhile.join(', ')}`);
  assert.ok(stallMs <= STALL_MS_MAX, `popularity paused for ${stallMs} ms`);
  report('one-member-lost', { faults: 1, kills: 1, verdict, stallMs, restoreSeconds: scene.restoreSeconds });
  await Promise.all([...others, publisher].map((member) => member.stop()));
});

function isPopularity(task: string): boolean {
  return task.includes('popularity');
}

/** The number of a task, which is also its changelog partition. */
function numberOf(task: string): number {
  return Number(task.slice(task.lastIndexOf('-') + 1));
}
