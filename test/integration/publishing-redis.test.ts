/** Sinks into a real Redis that was emptied while running; test/faults/stores-redis-*.test.ts cover more cases. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, type TestContext, test } from 'node:test';
import { encodeId, Layout, type LiveKeys, rankScore } from '../../publishing/layout.js';
import { affinityOnline } from '../../publishing/sinks/affinity.js';
import { popularityOnline } from '../../publishing/sinks/popularity.js';
import { onlineSinkStore } from '../../publishing/sinks/sink-store.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import type { Popularity } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { affinity, HALF_LIFE_MS, memoryLog, popularity, rig, write } from '../support/publishing.js';
import { Random } from '../support/random.js';
import { startRedis } from '../support/services/redis.js';

const redis = await startRedis();
after(() => redis?.stop());
const TOPIC = 'popularity.v1';
const PARTITIONS = 3;
const SET = featureSet(1);

describe('a sink into Redis', { skip: redis === null && 'there is no Redis' }, () => {
  async function running(t: TestContext) {
    const prefix = `publishing:${randomBytes(4).toString('hex')}:`;
    const store = await openRedis({ url: redis!.url, keyPrefix: prefix, commandMsMax: 2_000 }, silentLogger);
    const layout = new Layout(prefix);
    const declared = popularityOnline(SET, layout, HALF_LIFE_MS);
    const users = affinityOnline(SET, layout);
    const log = await memoryLog(PARTITIONS);
    const made = rig(t, log, [
      { topic: declared.topic, store: onlineSinkStore(store, declared), forgetsUnseen: true },
      { topic: users.topic, store: onlineSinkStore(store, users), forgetsUnseen: true },
    ]);
    t.after(async () => {
      await made.materialiser.stop();
      await empty(store, prefix);
      await store.close();
    });
    return { log, store, keys: layout.features(SET), prefix, ...made };
  }

  /** Deletes everything under the prefix, fences too: like FLUSHALL, but affecting no one else. */
  async function empty(store: OnlineStore, prefix: string): Promise<void> {
    const id = { sink: 'eraser', topic: randomBytes(4).toString('hex'), partition: 0 };
    const fences = ['popularity.v1', 'affinity.v1'].flatMap((topic) =>
      Array.from({ length: PARTITIONS }, (_, partition) => `${prefix}sink:test:${topic}:${partition}`),
    );
    const { epoch } = await store.open(id);
    const batch = { id, epoch, expectedOffset: 0, nextOffset: 0, incarnation: '', at: 0 };
    const keys = [...(await store.keys(prefix)), ...fences];
    const result = await store.apply(
      batch,
      keys.map((key) => ({ op: 'del', key })),
    );
    assert.equal(result, 'applied');
  }

  function some(random: Random, count: number, remaining: Map<string, Popularity>): [string, Popularity | null][] {
    return Array.from({ length: count }, () => {
      const id = `p${random.below(60)}`;
      const category = `c/${random.below(5)}`;
      const value = random.unit() < 0.2 ? null : popularity(id, { score: 1 + random.unit(), category });
      if (value === null) remaining.delete(id);
      else remaining.set(id, value);
      return [id, value];
    });
  }

  async function assertShows(store: OnlineStore, keys: LiveKeys, remaining: ReadonlyMap<string, Popularity>) {
    const shown = new Map<string, string>();
    for (const { member, score } of await store.ztop(keys.popularityAll, 1_000)) {
      const { score: value, as_of, category } = remaining.get(member)!;
      assert.ok(Math.abs(score - rankScore(value, as_of, HALF_LIFE_MS)) < 1e-9);
      shown.set(member, encodeId(category));
    }
    assert.deepEqual([...shown.keys()].sort(), [...remaining.keys()].sort());
    assert.deepEqual(new Map([...(await store.hgetall(keys.popularityGroups))].sort()), new Map([...shown].sort()));
    for (const key of await store.keys(keys.popularityCategoryPrefix))
      for (const { member } of await store.ztop(key, 1_000))
        assert.equal(key, keys.popularityCategoryPrefix + shown.get(member), `${member} is a ghost`);
  }

  test('fills it again after it was emptied', async (t) => {
    const { log, store, keys, prefix, materialiser, caughtUp, events } = await running(t);
    const remaining = new Map<string, Popularity>();
    await write(log, TOPIC, 'Popularity', some(new Random(42), 300, remaining));
    await write(log, 'affinity.v1', 'Affinity', [
      ['u:1', affinity('u:1', { 'a b': 0.25, c: 0.75 }, 5)],
      ['u2', affinity('u2', { c: 1 }, 6)],
      ['u2', null],
    ]);
    await materialiser.start();
    await caughtUp();
    await empty(store, prefix);
    const asOf = keys.affinityAsOf;
    await events.until('filled again', async () => {
      const [products, users] = [await store.zcard(keys.popularityAll), await store.hgetall(asOf)];
      return products === remaining.size && users.size === 1;
    });
    await assertShows(store, keys, remaining);
    assert.deepEqual(
      await store.hgetall(keys.affinityUser('u:1')),
      new Map([
        ['a b', '0.25'],
        ['c', '0.75'],
      ]),
    );
    assert.deepEqual(await store.keys(keys.affinityUserPrefix), [keys.affinityUser('u:1')]);
  });
});
