/** I5, I12: Redis is killed, loses its disk, and restarts with nothing. Its sinks notice and write everything again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { keys, onlineScene } from '../support/stores/sink-scene.js';

test('a Redis that restarts empty is filled again', { timeout: 30_000 }, async (t) => {
  const redis = await OwnRedis.open();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const store = await openRedis(redis.options, silentLogger);
  t.after(() => store.close());
  const { writer, materialiser, settled } = await onlineScene(t, store);
  await writer.write(400);
  await materialiser.start();
  await settled();
  for (const load of [0, 200]) {
    await redis.kill();
    await redis.putBack(null);
    // Also while new records arrive.
    const writing = writer.write(load);
    await redis.start();
    await writing;
    await settled();
    assert.ok((await store.zcard(keys.popularityAll)) > 50);
  }
});
