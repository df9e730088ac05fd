/**
 * I3, I4: a request of a transaction is delayed for longer than the transaction may last, its sender gives up on it,
 * and it arrives during a later transaction of the same task. It must neither end that transaction nor write into it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API, type FaultProxy } from '../support/services/fault-proxy.js';
import type { Member } from './harness/member.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const TASK = 'features.v1.activity-0';
const INVALID_PRODUCER_EPOCH = 47;
const PRODUCER_FENCED = 90;
/** After the answer's length and correlation id. */
const BODY_AT = 8;

test('an EndTxn delayed past the transaction time-out ends no later transaction; a delayed Produce writes nothing', {
  timeout: 120_000,
}, async (t) => {
  const scene = await Scene.open(t, { proxy: true });
  if (scene === null) return;
  const proxy = scene.proxy!;
  const member = scene.start();
  await member.holds(scene.tasks);
  scene.sender.start();

  await scene.committed(10);
  const late = await stuck(proxy, member, API.EndTxn);
  // The next transaction is held open where the late request could do harm: everything is written, nothing committed.
  const later = proxy.hold(API.EndTxn, TASK);
  await later.met;
  const refused = (await late()).readInt16BE(BODY_AT + 4);
  assert.ok([INVALID_PRODUCER_EPOCH, PRODUCER_FENCED].includes(refused), `EndTxn was answered with ${refused}`);
  assert.equal((await later.release()).readInt16BE(BODY_AT + 4), 0, 'the later transaction is complete');

  await scene.committed(10);
  const lateBatch = await stuck(proxy, member, API.Produce);
  await scene.committed(10);
  await lateBatch();

  const verdict = await scene.settled();
  for (const topic of await scene.log.admin.listTopics()) {
    for (let partition = 0; partition < (await scene.log.partitionCount(topic)); partition++) {
      const { lastStable, highWatermark } = await scene.log.offsets({ topic, partition });
      assert.equal(lastStable, highWatermark, `no transaction hangs in ${topic}[${partition}]`);
    }
  }
  assert.equal(member.restores, scene.tasks, 'a late request costs no restore');
  assert.equal(member.lines.filter(({ event }) => event === 'task_failed').length, 0);
  report('end-txn-delayed', { faults: 2, kills: 0, verdict, restoreSeconds: scene.restoreSeconds });
  await member.stop();
});

/** Holds back a request until the task has given up on it and continued; returns a function that delivers it late. */
async function stuck(proxy: FaultProxy, member: Member, api: number): Promise<() => Promise<Buffer>> {
  const held = proxy.hold(api, TASK);
  await held.met;
  const again = proxy.next(API.InitProducerId, 'pass', TASK);
  const unknown = ({ event, task }: { event?: string; task?: string }) =>
    event === 'commit_outcome_unknown' && task === TASK;
  await member.said('call the outcome unknown', unknown, member.lines.length);
  await again;
  return () => held.release();
}
