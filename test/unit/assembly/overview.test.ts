/** The lag of the parts of a deployment, as the page shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverviewSampler } from '../../../assembly/overview.js';
import { Layout } from '../../../publishing/layout.js';
import { popularityOnline } from '../../../publishing/sinks/popularity.js';
import { onlineSinkStore } from '../../../publishing/sinks/sink-store.js';
import type { Log } from '../../../runtime/log/log.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { createMetrics } from '../../../runtime/process/metrics.js';
import { ReachedOffsets } from '../../../runtime/tasks/reached-offsets.js';
import { RUNNING_SETS } from '../../../topics/running.js';
import { HALF_LIFE_MS, localStore, memoryLog, popularity, rig, write } from '../../support/publishing.js';

const { features, embeddings } = RUNNING_SETS;

/** Of a process in which the applications run, and no publisher. */
function lagOf(log: Log, applications: readonly { readonly name: string; readonly reached: ReachedOffsets }[]) {
  const options = {
    log,
    metrics: createMetrics(),
    clock: systemClock,
    sets: RUNNING_SETS,
    demo: false,
    settings: {},
    stores: { store: { kind: 'local' } },
  };
  return async () => (await new OverviewSampler({ ...options, applications, publisher: null }).current()).lag;
}

test('embeddings lag behind the products, by what their own application has reached', async () => {
  const log = await memoryLog(1);
  const deleted = Array.from({ length: 5 }, (_, i) => [`p${i}`, null] as const);
  await write(log, 'products', 'Product', deleted);
  const [other, own] = [features[0], embeddings].map(({ application: name }) => ({
    name,
    reached: new ReachedOffsets(),
  }));
  const lag = lagOf(log, [other!, own!]);
  other!.reached.advance([{ topic: 'products', partition: 0, offset: 5 }]);
  assert.equal((await lag()).embeddings, 5, 'another application has read them');
  own!.reached.advance([{ topic: 'products', partition: 0, offset: 3 }]);
  assert.equal((await lag()).embeddings, 2);
  own!.reached.advance([{ topic: 'products', partition: 0, offset: 5 }]);
  assert.equal((await lag()).embeddings, 0);
});

test('a sink that runs elsewhere lags by what its group shows', async (t) => {
  const log = await memoryLog(1);
  const store = await localStore(t);
  const [set] = features;
  const { topic, ...sink } = popularityOnline(set, new Layout(), HALF_LIFE_MS);
  const rows = ['a', 'b', 'c'].map((id) => [id, popularity(id)] as const);
  await write(log, topic.name, 'Popularity', rows);
  const lag = lagOf(log, []);
  assert.deepEqual([(await lag()).redis, (await lag()).postgres], [3, 3]);
  const elsewhere = { topic, store: onlineSinkStore(store, { topic, ...sink }), forgetsUnseen: true };
  const { materialiser, events } = rig(t, log, [elsewhere], set.sinks.redis);
  await materialiser.start();
  await events.until('the lag in Redis is gone', async () => (await lag()).redis === 0);
  assert.equal((await lag()).postgres, 3);
});
