/** I12: after a restart Redis reads its data for a while and answers everything with LOADING. Its sinks wait for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { onlineScene } from '../support/stores/sink-scene.js';

/** A setting for Redis's own tests: each key takes this many microseconds to load; requests are answered meanwhile. */
const SLOWLY = ['key-load-delay 10000', 'loading-process-events-interval-bytes 1024'];

test('sinks wait for a Redis that is still loading', { timeout: 30_000 }, async (t) => {
  const redis = await OwnRedis.open('appendonly no');
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const store = await openRedis(redis.options, silentLogger);
  t.after(() => store.close());
  const { writer, materialiser, failures, events, settled } = await onlineScene(t, store);
  await writer.write(300);
  await materialiser.start();
  await settled();
  await redis.command('SAVE');
  await writer.write(100);
  await settled();
  await redis.kill();
  await redis.start('appendonly no', ...SLOWLY);
  await assert.rejects(redis.command('DBSIZE'), /LOADING/, 'it was loaded too fast to test anything');
  await writer.write(100);
  const failed = await failures();
  await events.until('the sinks have tried meanwhile', async () => (await failures()) > failed + 5);
  await assert.rejects(redis.command('DBSIZE'), /LOADING/);
  await settled();
});
