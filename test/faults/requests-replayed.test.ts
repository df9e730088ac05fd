/**
 * I1, I4: the same bytes reach the broker twice, as from a network that repeats data it is not sure about, and answers
 * arrive here twice. Batches are recognized by their sequence numbers, so no record is duplicated; an answer that
 * matches no pending request is ignored.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API, type Fault } from '../support/services/fault-proxy.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const ROUNDS = 3;
/** Senders of the requests: a task, or producers of events. */
const TASK = 'features.v1.activity-0';
const HOP = 'features.v1.popularity-0';
const PRODUCER = 'events';

test('requests and answers that arrive twice duplicate and confuse nothing', { timeout: 120_000 }, async (t) => {
  const scene = await Scene.open(t, { proxy: true });
  if (scene === null) return;
  const proxy = scene.proxy!;
  scene.sender.start();
  const member = scene.start();
  await member.holds(scene.tasks);
  let faults = 0;
  const meet = async (api: number, fault: Fault, holding: string) => {
    await proxy.next(api, fault, holding);
    faults++;
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const whose of [TASK, HOP, PRODUCER]) await meet(API.Produce, 'repeat-request', whose);
    for (const api of [API.AddPartitionsToTxn, API.EndTxn]) await meet(api, 'repeat-request', TASK);
    for (const api of [API.Produce, API.AddPartitionsToTxn, API.EndTxn]) await meet(api, 'repeat-answer', HOP);
    await meet(API.Fetch, 'repeat-request', PRODUCER);
    await meet(API.Fetch, 'repeat-answer', PRODUCER);
    await meet(API.Heartbeat, 'repeat-answer', 'features.v1');
  }
  const verdict = await scene.settled();
  assert.equal(member.restores, scene.tasks);
  assert.equal(member.lines.filter(({ event }) => event === 'task_failed').length, 0);
  assert.equal(member.lines.filter(({ event }) => event === 'commit_outcome_unknown').length, 0);
  report('requests-replayed', { faults, kills: 0, verdict, restoreSeconds: scene.restoreSeconds });
  await member.stop();
});
