/** The lag of the parts of a deployment, as the page shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverviewSampler } from '../../../assembly/overview.js';
import { Layout } from '../../../publishing/layout.js';
import { popularityOnline } from '../../../publishing/sinks/popularity.js';
import { onlineSinkStore } from '../../../publishing/sinks/sink-store.js';
import type { Log } from '../../../runtime/log/log.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { createMetrics } from '../../../runtime/process/metrics.js';
import { ReachedOffsets } from '../../../runtime/tasks/reached-offsets.js';
import { RUNNING_SETS } from '../../../topics/running.js';
import { ManualClock } from '../../support/manual-clock.js';
import { HALF_LIFE_MS, localStore, memoryLog, popularity, rig, write } from '../../support/publishing.js';

const { features, embeddings } = RUNNING_SETS;

/** Of a process in which the applications run, and no publisher. */
function lagOf(log: Log, applications: readonly { readonly name: string; readonly reached: ReachedOffsets }[]) {
  const options = {
    log,
    metrics: createMetrics(),
    clock: systemClock,
    logger: silentLogger,
    sets: RUNNING_SETS,
    demo: false,
    settings: {},
    stores: { store: { kind: 'local' } },
  };
  const rest = { applications, publisher: null, isReady: () => true };
  return async () => (await new OverviewSampler({ ...options, ...rest }).current()).lag;
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

test('what was shown is remembered, whether or not somebody looked', async () => {
  const log = await memoryLog(1);
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  let isReady = false;
  const sampler = new OverviewSampler({
    log,
    metrics: createMetrics(),
    clock,
    logger: silentLogger,
    sets: RUNNING_SETS,
    demo: false,
    settings: {},
    stores: { store: { kind: 'local' } },
    applications: [],
    publisher: null,
    isReady: () => isReady,
  });
  const ending = new AbortController();
  const following = sampler.follow(ending.signal);
  for (let i = 0; i < 40; i++) {
    clock.advance(500);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(sampler.history(), [], 'the flood of a start is left out');
  isReady = true;
  for (let i = 0; sampler.history().length < 4; i++) {
    assert.ok(i < 10_000, 'nothing is remembered');
    clock.advance(500);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const times = sampler.history().map(({ at }) => at);
  for (const [i, at] of times.slice(1).entries()) assert.ok(at - times[i]! >= 5_000, 'one every five seconds');
  const [{ lag, freshness_ms } = { lag: null, freshness_ms: undefined }] = sampler.history();
  assert.equal(lag?.activity, 0);
  assert.equal(freshness_ms, null, 'another process publishes');
  ending.abort();
  clock.advance(10_000);
  await following;
});
