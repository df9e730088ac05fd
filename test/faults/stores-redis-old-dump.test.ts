/**
 * I5: Redis is killed and restored from an older copy of its disk, so that rows and fences go back together. Its sinks
 * continue from the copy's position, and read nothing before it again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { endsOf } from '../support/publishing.js';
import { FEATURE_TOPICS } from '../support/stores/feature-rows.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { onlineScene } from '../support/stores/sink-scene.js';

test('a Redis restored from an older copy is brought up to date from there', { timeout: 30_000 }, async (t) => {
  const redis = await OwnRedis.open();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const store = await openRedis(redis.options, silentLogger);
  t.after(() => store.close());
  const { log, writer, materialiser, stores, settled } = await onlineScene(t, store);
  await writer.write(300);
  await materialiser.start();
  await settled();
  const copied = new Map<string, number>();
  for (const topic of FEATURE_TOPICS)
    for (const { partition, offset } of await endsOf(log, topic)) copied.set(`${topic}/${partition}`, offset);
  const copy = await redis.copyData();
  await writer.write(300);
  await settled();

  await redis.kill();
  await redis.putBack(copy);
  const before = stores.map(({ applied }) => applied.length);
  await redis.start();
  await writer.write(100);
  await settled();
  const after = stores.flatMap(({ applied }, i) => applied.slice(before[i]));
  assert.ok(after.length > 0);
  for (const { id, expectedOffset } of after)
    assert.ok(expectedOffset >= copied.get(`${id.topic}/${id.partition}`)!, `read again from ${expectedOffset}`);
});
