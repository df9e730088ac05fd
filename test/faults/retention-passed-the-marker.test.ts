/**
 * I8: retention has removed records of the input that a task has not read. The task stops and says what is missing, at
 * its start as well as during operation; its position does not change, the others continue, and no missing records are
 * skipped or invented.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../conformance/log-rows.js';
import { deleteRecords } from '../support/services/kafka-tools.js';
import type { Member } from './harness/member.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const TASK = 'features.v1.activity-0';
const INPUT = { topic: 'events', partition: 0 };
const BEHIND = 200;

/** Writes records that the task does not read, and removes them. Returns the new start of the log. */
async function lose(scene: Scene): Promise<number> {
  // Twice: the first may still be the answer to a fetch that was waiting.
  for (let i = 0; i < 2; i++) await scene.sender.send(BEHIND);
  const { highWatermark } = await scene.log.offsets(INPUT);
  await deleteRecords(scene.broker.address, INPUT, highWatermark - 1);
  return highWatermark - 1;
}

async function stopped(member: Member, earliest: number): Promise<void> {
  const isStop = ({ event, task }: { event?: string; task?: string }) => event === 'task_stopped' && task === TASK;
  const line: { error?: string } = await member.said('stop the task', isStop);
  const sentence = new RegExp(`events\\[0\\] .* from (?:offset )?(\\d+), but it (?:holds|begins at) ${earliest}\\b`);
  assert.match(line.error ?? '', sentence);
  assert.ok(Number(sentence.exec(line.error!)![1]) < earliest);
}

/** Every commit of the task moves the end; markers of the last one may still be on their way. */
async function changelogEnd(scene: Scene): Promise<number> {
  const place = { topic: 'features.v1.activity-changelog', partition: 0 };
  let end = await scene.log.offsets(place);
  await eventually('the changelog is stable', async () => {
    end = await scene.log.offsets(place);
    return end.lastStable === end.highWatermark;
  });
  return end.highWatermark;
}

test('the log start passes the marker while the task is down: it stops at its start', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const first = scene.start();
  await first.holds(scene.tasks);
  await scene.sender.send(1_000);
  const before = await scene.settled();
  await first.stop();
  const earliest = await lose(scene);
  const end = await changelogEnd(scene);
  // With the first one's folder, so with a checkpoint; and with a new one, so from the changelog.
  for (const name of ['one', 'two']) {
    const member = scene.start({ name });
    await stopped(member, earliest);
    await scene.sender.send(BEHIND);
    await member.holds(scene.tasks - 1);
    assert.equal(await changelogEnd(scene), end, 'the task has written nothing');
    await member.stop();
  }
  report('retention-passed-the-marker', {
    faults: 1,
    kills: 0,
    verdict: before,
    restoreSeconds: scene.restoreSeconds,
  });
});

test('the log start passes a running task that lags: it stops, the others continue', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const member = scene.start();
  await member.holds(scene.tasks);
  await scene.sender.send(1_000);
  await scene.settled();
  member.freeze();
  const earliest = await lose(scene);
  member.thaw();
  await stopped(member, earliest);
  const end = await changelogEnd(scene);
  await scene.sender.send(BEHIND);
  await scene.committed(5);
  assert.equal(await changelogEnd(scene), end, 'the task has written nothing');
  await member.stop();
});
