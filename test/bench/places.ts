/** Real services of a bench's own, empty and with nobody else on them. */

import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { createLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { allTopics } from '../../topics/all.js';
import { startBroker, startKafka } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { startPostgres } from '../support/services/postgres.js';
import { startRedis } from '../support/services/redis.js';

const logger = createLogger('warn');

export interface BrokerPlace {
  readonly brokers: string;
  /** Null where the broker is no process of this machine. */
  readonly pid: number | null;
  readonly log: Log;
  close(): Promise<void>;
}

/**
 * A broker from its jars where that is possible, since its topics have the product's own names; else the one that tests
 * use. Throws where that one has such topics already.
 */
export async function openBroker(): Promise<BrokerPlace> {
  const own = await startBroker();
  if (own instanceof LocalBroker) return connect(own.address, own.pid ?? null, () => own.stop());
  const kafka = await startKafka();
  const place = await connect(kafka.brokers, kafka.pid ?? null, () => kafka.stop());
  const existing = new Set(await place.log.admin.listTopics());
  const ours = allTopics().filter(({ name }) => existing.has(name));
  if (ours.length === 0) return place;
  await place.close();
  throw new Error(
    `The Kafka at ${kafka.brokers} has topic "${ours[0]!.name}" already, and an empty one is needed: unset ` +
      `KAFKA_BROKERS, or name another (${own.missing}).`,
  );
}

async function connect(brokers: string, pid: number | null, stop: () => Promise<void>): Promise<BrokerPlace> {
  let log: Log;
  try {
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: brokers }), logger);
  } catch (error) {
    await stop();
    throw error;
  }
  const close = async () => {
    await log.close();
    await stop();
  };
  return { brokers, pid, log, close };
}

export interface RedisPlace {
  readonly url: string;
  readonly store: OnlineStore;
  close(): Promise<void>;
}

/** Throws where there is no Redis server to be had. */
export async function openRedisStore(): Promise<RedisPlace> {
  const service = await startRedis();
  if (service === null) throw new Error('A Redis server is needed: set REDIS_URL, or install redis-server.');
  const store = await openRedis({ url: service.url }, logger);
  const close = async () => {
    await store.close();
    await service.stop();
  };
  return { url: service.url, store, close };
}

export interface DatabasePlace {
  readonly url: string;
  readonly database: Database;
  close(): Promise<void>;
}

export async function openDatabase(): Promise<DatabasePlace> {
  const service = await startPostgres();
  const database = await openPostgres({ url: service.url }, logger);
  const close = async () => {
    await database.close();
    await service.stop();
  };
  return { url: service.url, database, close };
}
