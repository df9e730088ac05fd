/**
 * What every role needs: data folder, log, topics, codec, stores. They are opened in the order of the data flow; the
 * caller that opens them closes them in reverse order.
 */
import { join } from 'node:path';
import { openSkips, type Skips } from '../ingest/skips.js';
import { migrateUp } from '../publishing/migrations/migrate.js';
import { applyDeclaredTopics, awaitDeclaredTopics } from '../runtime/log/apply-topics.js';
import { openEmbeddedLog } from '../runtime/log/embedded/log.js';
import { openKafkaLog } from '../runtime/log/kafka/log.js';
import type { Log } from '../runtime/log/log.js';
import { openWritingCodec } from '../runtime/log/writing-codec.js';
import { systemClock } from '../runtime/process/clock.js';
import { type DataFolder, openDataFolder } from '../runtime/process/data-folder.js';
import type { Logger } from '../runtime/process/logger.js';
import { openStores, type Stores } from '../runtime/stores/open-stores.js';
import type { Codec } from '../schemas/codec.js';
import { allTopics } from '../topics/all.js';
import type { RunningSets } from '../topics/running.js';
import type { Settings } from './settings.js';

interface FoundationOptions {
  /** Versions of the applications; their topics are created. */
  readonly sets: RunningSets;
  readonly logger: Logger;
  /** Whether to open the stores and apply their migrations. */
  readonly stores: boolean;
  /** Whether missing topics are created (the default) or waited for. */
  readonly createsTopics?: boolean;
  /** Hold the data folder even if it contains nothing private to this process. */
  readonly folder?: boolean;
  /** Called for everything that has been opened, so that it is closed even if a later step fails. */
  readonly keep: (what: string, close: () => Promise<void>) => void;
  /** Receives what is used for which purpose. */
  readonly onPart?: (name: string, use: string) => void;
  /** Called when something that was opened has failed for good. */
  readonly onFailed?: (error: Error) => void;
}

export interface Foundation {
  /** Null if nothing is private to this process. */
  readonly folder: DataFolder | null;
  /** Its readers pass over what was given up. */
  readonly log: Log;
  readonly skips: Skips;
  readonly codec: Codec;
  /** Null if none were requested. */
  readonly stores: Stores | null;
}

/** Whether log and stores can be reached without holding the data folder. */
export function reachesAll({ KAFKA_BROKERS, REDIS_URL, DATABASE_URL }: Settings): boolean {
  return KAFKA_BROKERS !== undefined && REDIS_URL !== undefined && DATABASE_URL !== undefined;
}

/** Errors: those of the data folder, the log, the registry and the stores; 'state' for topics that differ. */
export async function openFoundation(settings: Settings, options: FoundationOptions): Promise<Foundation> {
  const { logger, keep } = options;
  const folder = await openFolder(settings, options);
  const whole = await openLog(settings, folder, options);
  const declarations = allTopics(options.sets);
  if (options.createsTopics ?? true) await applyDeclaredTopics(whole, declarations, settings, logger);
  else await awaitDeclaredTopics(whole, declarations, settings, { logger, clock: systemClock });
  const codec = await openWritingCodec(settings, declarations);
  const { log, skips } = await openSkips({ log: whole, codec, logger, clock: systemClock });
  keep(skips.name, () => skips.stop());
  if (!options.stores) return { folder, log, skips, codec, stores: null };
  const stores = await openStores(settings, logger, options.onFailed);
  keep('stores', () => stores.close());
  options.onPart?.('online store', stores.describe.store);
  options.onPart?.('database', stores.describe.database);
  await migrateUp(stores.database, logger);
  return { folder, log, skips, codec, stores };
}

async function openFolder(settings: Settings, options: FoundationOptions): Promise<DataFolder | null> {
  if (reachesAll(settings) && !options.folder) return null;
  const folder = await openDataFolder(settings.FRESHET_DATA_DIR);
  options.keep('data folder', () => folder.release());
  options.onPart?.('data folder', settings.FRESHET_DATA_DIR);
  return folder;
}

async function openLog(
  settings: Settings,
  folder: DataFolder | null,
  { logger, keep, onPart }: FoundationOptions,
): Promise<Log> {
  const { KAFKA_BROKERS } = settings;
  const log =
    KAFKA_BROKERS === undefined
      ? await openEmbeddedLog(join(folder!.path, 'log'), logger, { acceptClockJump: settings.ACCEPT_CLOCK_JUMP })
      : await openKafkaLog(settings, logger);
  keep('log', () => log.close());
  const use =
    KAFKA_BROKERS === undefined
      ? 'embedded, in the data folder (set KAFKA_BROKERS for Kafka)'
      : `Kafka at ${KAFKA_BROKERS.join(', ')}`;
  onPart?.('log', use);
  return log;
}
