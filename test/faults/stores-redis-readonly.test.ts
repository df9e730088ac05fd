/** I12: after a failover the address points to a replica, which refuses every write. Its sinks wait for a master. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { freePort } from '../../runtime/stores/private-server.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { onlineScene } from '../support/stores/sink-scene.js';

test('sinks wait for a Redis that has become a replica until it is a master again', { timeout: 30_000 }, async (t) => {
  const redis = await OwnRedis.open();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const store = await openRedis(redis.options, silentLogger);
  t.after(() => store.close());
  const { writer, materialiser, failures, events, stores, settled } = await onlineScene(t, store);
  await writer.write(200);
  await materialiser.start();
  await settled();
  await redis.command('REPLICAOF', '127.0.0.1', String(await freePort()));
  const applied = stores.map((one) => one.applied.length);
  await writer.write(200);
  await events.until('many refusals', async () => (await failures()) > 20);
  assert.deepEqual(
    stores.map((one) => one.applied.length),
    applied,
    'a replica applied a batch',
  );
  await redis.command('REPLICAOF', 'NO', 'ONE');
  await settled();
});
