/**
 * The online store in a real Redis; I5 and I22 are held by the suite's tests of these names. Without a Redis, only the
 * local store is tested, and the console says so.
 */
import { after } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { onlineStoreConformance } from '../conformance/online-store.js';
import { startRedis } from '../support/services/redis.js';

const redis = await startRedis();
after(() => redis?.stop());

if (redis !== null)
  onlineStoreConformance(`Redis (${redis.how})`, async () => {
    const open = () => openRedis({ url: redis.url, keyPrefix: 'conformance:' }, silentLogger);
    const store = await open();
    return {
      store,
      reopen: async () => {
        await store.close();
        return open();
      },
    };
  });
