/** A broker, a Redis and a Postgres, all real and empty, for tests that run the product as deployed. */
import { messageOf } from '../../../runtime/process/errors.js';
import {
  type BrokerPlace,
  type DatabasePlace,
  openBroker,
  openDatabase,
  openRedisStore,
  type RedisPlace,
} from '../../bench/places.js';
import { isRequired } from './service.js';

export interface Stage {
  readonly broker: BrokerPlace;
  readonly redis: RedisPlace;
  readonly postgres: DatabasePlace;
  /** The settings to reach them. */
  readonly settings: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** A string says what is missing. Throws it if REQUIRE_REAL names kafka. */
export async function openStage(): Promise<Stage | string> {
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const place of opened.reverse()) await place.close();
  };
  const keep = <T extends { close(): Promise<void> }>(place: T): T => {
    opened.push(place);
    return place;
  };
  try {
    const broker = keep(await openBroker());
    const redis = keep(await openRedisStore());
    const postgres = keep(await openDatabase());
    const settings = { KAFKA_BROKERS: broker.brokers, REDIS_URL: redis.url, DATABASE_URL: postgres.url };
    return { broker, redis, postgres, settings, close };
  } catch (error) {
    await close();
    if (isRequired('kafka')) throw error;
    return messageOf(error);
  }
}
