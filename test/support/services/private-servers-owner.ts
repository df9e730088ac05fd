/**
 * A process that starts the private stores of a data folder, prints how to reach them as one line of JSON, and stays
 * until it is killed. Arguments: data folder, what to start (redis, postgres, stores).
 */
import { silentLogger } from '../../../runtime/process/logger.js';
import { openStores } from '../../../runtime/stores/open-stores.js';
import { startPrivatePostgres } from '../../../runtime/stores/postgres/private-postgres.js';
import { startPrivateRedis } from '../../../runtime/stores/redis/private-redis.js';

const [folder = '', what = ''] = process.argv.slice(2);

async function start(): Promise<unknown> {
  if (what === 'redis') return (await startPrivateRedis(folder, silentLogger))?.options ?? null;
  if (what === 'postgres') return (await startPrivatePostgres(folder, silentLogger)).options;
  return (await openStores({ FRESHET_DATA_DIR: folder, REDIS_KEY_PREFIX: '' }, silentLogger)).describe;
}

console.log(JSON.stringify(await start()));
setInterval(() => undefined, 60_000);
