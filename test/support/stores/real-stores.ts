/** A real Postgres and a real Redis for all tests of a file, and every kind of online store available. */
import { after, type TestContext } from 'node:test';
import { silentLogger } from '../../../runtime/process/logger.js';
import type { Database } from '../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import { openPostgres } from '../../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../../runtime/stores/redis/redis.js';
import { localStore } from '../publishing.js';
import { startPostgres } from '../services/postgres.js';
import { startRedis } from '../services/redis.js';

export type OpenStore = (t: TestContext, keyPrefix: string) => Promise<OnlineStore>;

export interface RealStores {
  readonly database: Database;
  /** By name; Redis only if there is one. */
  readonly online: ReadonlyMap<string, OpenStore>;
}

/** Call it once at the top of a file; the stores are stopped after its last test. */
export async function realStores(): Promise<RealStores> {
  const redis = await startRedis();
  const service = await startPostgres();
  const database = await openPostgres({ url: service.url }, silentLogger);
  after(async () => {
    await database.close();
    await service.stop();
    await redis?.stop();
  });
  const online = new Map<string, OpenStore>([['the local store', (t) => localStore(t)]]);
  if (redis !== null)
    online.set('Redis', async (t, keyPrefix) => {
      const store = await openRedis({ url: redis.url, keyPrefix }, silentLogger);
      t.after(() => store.close());
      return store;
    });
  return { database, online };
}
