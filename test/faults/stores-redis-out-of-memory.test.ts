/**
 * I12: Redis has reached maxmemory and evicts nothing. It refuses whole batches, the sinks read no more than they may
 * buffer, and continue once there is room.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { newestRows } from '../support/stores/feature-rows.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { layout, onlineScene } from '../support/stores/sink-scene.js';
import { assertNothing, checkOnline } from '../support/stores/store-checker.js';

test('a full Redis applies no partial batch, and all of it once there is room', { timeout: 30_000 }, async (t) => {
  const redis = await OwnRedis.open();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const store = await openRedis(redis.options, silentLogger);
  t.after(() => store.close());
  const { log, writer, materialiser, failures, events, settled } = await onlineScene(t, store);
  await writer.write(200);
  await materialiser.start();
  await settled();
  const full = await newestRows(log);
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  await writer.write(200);
  await events.until('many refusals', async () => (await failures()) > 20);
  assertNothing('while Redis was full', await checkOnline(store, layout, full));
  assert.equal(await redis.command('CONFIG', 'SET', 'maxmemory', '0'), 'OK');
  await settled();
});
