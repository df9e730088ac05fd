/** Opens both stores as the settings say. A setting that is unset means a private store. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, silentLogger } from '../process/logger.js';
import type { Database } from './database.js';
import { openLocalStore } from './local/local-store.js';
import type { OnlineStore } from './online-store.js';
import { openPostgres, postgresAddress } from './postgres/postgres.js';
import { removePrivatePostgres, startPrivatePostgres } from './postgres/private-postgres.js';
import type { PrivateServerOptions } from './private-server.js';
import { removePrivateRedis, startPrivateRedis } from './redis/private-redis.js';
import { openRedis, type RedisOptions, redisAddress } from './redis/redis.js';
import type { StoreSettings } from './settings.js';

export interface Stores {
  readonly store: OnlineStore;
  readonly database: Database;
  /** One line each on where it comes from; without secrets. */
  readonly describe: { readonly store: string; readonly database: string };
  /** Closes both and stops private servers, waiting until they are down. Repeating is harmless. */
  close(): Promise<void>;
}

interface Opened<T> {
  readonly opened: T;
  readonly how: string;
  close(): Promise<void>;
}

/**
 * Opens both at the same time. Throws FreshetError when one cannot be opened; then the other is closed again. A private
 * server that dies is started again; `onFailed` is called when that does not help.
 */
export async function openStores(
  settings: StoreSettings,
  logger: Logger,
  onFailed?: (error: Error) => void,
): Promise<Stores> {
  const options = onFailed === undefined ? {} : { onFailed };
  const [store, database] = await Promise.allSettled([
    openOnlineStore(settings, logger, options),
    openDatabase(settings, logger, options),
  ]);
  if (store.status === 'rejected' || database.status === 'rejected') {
    for (const one of [store, database]) if (one.status === 'fulfilled') await one.value.close();
    throw store.status === 'rejected' ? store.reason : (database as PromiseRejectedResult).reason;
  }
  let closing: Promise<void> | null = null;
  const closeBoth = async () => {
    const ends = await Promise.allSettled([store.value.close(), database.value.close()]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };
  return {
    store: store.value.opened,
    database: database.value.opened,
    describe: { store: store.value.how, database: database.value.how },
    close: () => {
      closing ??= closeBoth();
      return closing;
    },
  };
}

/** The stores given by their URLs; for commands, which have no private ones. Throws as openStores does. */
export async function openGivenStores(
  settings: StoreSettings,
  logger: Logger,
): Promise<{ readonly store: OnlineStore | null; readonly database: Database | null; close(): Promise<void> }> {
  const store = settings.REDIS_URL === undefined ? null : await openOnlineStore(settings, logger);
  try {
    const database = settings.DATABASE_URL === undefined ? null : await openDatabase(settings, logger);
    const close = async () => {
      await store?.close();
      await database?.close();
    };
    return { store: store?.opened ?? null, database: database?.opened ?? null, close };
  } catch (error) {
    await store?.close();
    throw error;
  }
}

/** Stops any private server that still runs and removes all data of the private stores. For "freshet reset". */
export async function removePrivateStores(dataFolder: string, logger: Logger = silentLogger): Promise<void> {
  await removePrivateRedis(dataFolder, logger);
  await removePrivatePostgres(dataFolder, logger);
  await rm(localFolder(dataFolder), { recursive: true, force: true });
}

function localFolder(dataFolder: string): string {
  return join(dataFolder, 'store');
}

async function openOnlineStore(
  settings: StoreSettings,
  logger: Logger,
  options: PrivateServerOptions = {},
): Promise<Opened<OnlineStore>> {
  const keyPrefix = settings.REDIS_KEY_PREFIX;
  if (settings.REDIS_URL !== undefined) {
    const password = settings.REDIS_PASSWORD === undefined ? {} : { password: settings.REDIS_PASSWORD };
    const given: RedisOptions = { url: settings.REDIS_URL, keyPrefix, ...password };
    const opened = await openRedis(given, logger);
    // A hosted server may refuse to report its settings; it can be used all the same.
    for (const sentence of await opened.advice().catch(() => []))
      logger.warn({ event: 'store_advice', store: 'redis' }, sentence);
    return { opened, how: `Redis at ${redisAddress(given)} (REDIS_URL)`, close: () => opened.close() };
  }
  const server = await startPrivateRedis(settings.FRESHET_DATA_DIR, logger, options);
  if (server === null) {
    const folder = localFolder(settings.FRESHET_DATA_DIR);
    const opened = await openLocalStore(folder, logger);
    const how = `in process, kept in ${folder} (no redis-server or valkey-server in PATH)`;
    return { opened, how, close: () => opened.close() };
  }
  return startedBy(server, () => openRedis({ ...server.options, keyPrefix }, logger));
}

async function openDatabase(
  settings: StoreSettings,
  logger: Logger,
  options: PrivateServerOptions = {},
): Promise<Opened<Database>> {
  if (settings.DATABASE_URL !== undefined) {
    const given = { url: settings.DATABASE_URL };
    const opened = await openPostgres(given, logger);
    return { opened, how: `Postgres at ${postgresAddress(given)} (DATABASE_URL)`, close: () => opened.close() };
  }
  const server = await startPrivatePostgres(settings.FRESHET_DATA_DIR, logger, options);
  return startedBy(server, () => openPostgres(server.options, logger));
}

/** A client together with the private server that it uses. */
async function startedBy<T extends { close(): Promise<void> }>(
  server: { readonly how: string; stop(): Promise<void> },
  open: () => Promise<T>,
): Promise<Opened<T>> {
  let opened: T;
  try {
    opened = await open();
  } catch (error) {
    await server.stop();
    throw error;
  }
  const close = async () => {
    try {
      await opened.close();
    } finally {
      await server.stop();
    }
  };
  return { opened, how: server.how, close };
}
