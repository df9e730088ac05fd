/** Is Redis reachable, and does it keep its data. */
import type { Logger } from '../../runtime/process/logger.js';
import { openRedis, redisAddress } from '../../runtime/stores/redis/redis.js';
import type { Settings } from '../settings.js';
import { type Check, examine, fail, ok } from './check.js';

export async function checkRedis({ REDIS_URL, REDIS_PASSWORD }: Settings, logger: Logger): Promise<readonly Check[]> {
  if (REDIS_URL === undefined)
    return [
      ok(
        'redis',
        'REDIS_URL is not set: a private redis-server or valkey-server, or a store inside the process if neither is in PATH.',
      ),
    ];
  return await examine('redis', async () => {
    const options = { url: REDIS_URL, ...(REDIS_PASSWORD === undefined ? {} : { password: REDIS_PASSWORD }) };
    const store = await openRedis(options, logger);
    try {
      const advice = await store.advice();
      if (advice.length > 0) return advice.map((sentence) => fail('redis', sentence));
      return [
        ok('redis', `Redis at ${redisAddress(options)} answers, and evicts nothing (maxmemory-policy noeviction).`),
      ];
    } finally {
      await store.close();
    }
  });
}
