/** I5: the connection to Redis is cut after a batch was applied, before its answer arrived. It is not applied again. */
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { CutProxy } from '../support/proxy.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { loseAnswers, onlineScene } from '../support/stores/sink-scene.js';

test('a batch whose answer from Redis was lost counts once', { timeout: 30_000 }, async (t) => {
  const redis = await OwnRedis.open();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const proxy = await CutProxy.to({ path: redis.options.path! });
  const store = await openRedis({ url: `redis://127.0.0.1:${proxy.port}`, commandMsMax: 2_000 }, silentLogger);
  t.after(async () => {
    await store.close();
    await proxy.close();
  });
  await loseAnswers(await onlineScene(t, store), proxy);
});
