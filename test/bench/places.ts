/** Real services for a bench, empty and not shared with anyone. */
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
  /** Null if the broker is not a process on this machine. */
  readonly pid: number | null;
  readonly log: Log;
  close(): Promise<void>;
}

/**
 * A broker from its jars if possible, because its topics have the product's own names; otherwise the one that tests
 * use. Throws if that one already has such topics.
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
    `The Kafka at ${kafka.brokers} has topic "${ours[0]!.name}" already, but an empty Kafka is needed: unset ` +
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

/** Throws if no Redis server is available. */
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
