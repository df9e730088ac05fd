/** The common parts of producers, readers and applications: the log, the registry, and how topics are written. */
import { join } from 'node:path';
import { loadSettings, type Settings } from '../assembly/settings.js';
import { applyDeclaredTopics } from '../runtime/log/apply-topics.js';
import { openEmbeddedLog } from '../runtime/log/embedded/log.js';
import { openKafkaLog } from '../runtime/log/kafka/log.js';
import type { Log } from '../runtime/log/log.js';
import { inOurTerms, lookupIn, openRegistry } from '../runtime/log/writing-codec.js';
import { type DataFolder, openDataFolder, readLock } from '../runtime/process/data-folder.js';
import { FreshetError } from '../runtime/process/errors.js';
import { type Logger, silentLogger } from '../runtime/process/logger.js';
import { ValueCodecs } from '../runtime/tasks/feature.js';
import { explainIncompatibility } from '../schemas/incompatibility.js';
import type { Registry } from '../schemas/registry.js';
import { allTopics } from '../topics/all.js';
import type { TypedTopic } from '../topics/typed.js';

export interface ConnectionOptions {
  /** Settings by their names in the environment (default: the environment itself). `freshet doctor` lists them. */
  readonly settings?: Readonly<Record<string, string | undefined>>;
  /** Silent by default. */
  readonly logger?: Logger;
}

/** A log opened for one user of this package. */
export class Connection {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly log: Log;
  readonly registry: Registry | null;
  /** Null on Kafka. */
  readonly #folder: DataFolder | null;
  #closing: Promise<void> | null = null;

  private constructor(
    settings: Settings,
    logger: Logger,
    log: Log,
    registry: Registry | null,
    folder: DataFolder | null,
  ) {
    this.settings = settings;
    this.logger = logger;
    this.log = log;
    this.registry = registry;
    this.#folder = folder;
  }

  /**
   * Kafka at KAFKA_BROKERS; without it the log on disk, with all declared topics, if no other process holds it. Errors:
   * 'settings', 'connection', 'access', 'locked'.
   */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const settings = loadSettings(options.settings ?? process.env);
    const logger = options.logger ?? silentLogger;
    const registry = await openRegistry(settings);
    if (settings.KAFKA_BROKERS !== undefined)
      return new Connection(settings, logger, await openKafkaLog(settings, logger), registry, null);
    await refuseHeld(settings.FRESHET_DATA_DIR);
    const folder = await openDataFolder(settings.FRESHET_DATA_DIR);
    try {
      const log = await openEmbeddedLog(join(folder.path, 'log'), logger, {
        acceptClockJump: settings.ACCEPT_CLOCK_JUMP,
      });
      await applyDeclaredTopics(log, allTopics(), settings, logger);
      return new Connection(settings, logger, log, registry, folder);
    } catch (error) {
      await folder.release();
      throw error;
    }
  }

  /**
   * The codecs to read all topics and write the given ones, whose schemas are registered if there is a registry.
   */
  async codecs(written: readonly TypedTopic<unknown>[]): Promise<ValueCodecs> {
    const ids = new Map<string, number>();
    for (const topic of written) {
      const id = await this.#register(topic);
      if (id !== null) ids.set(topic.name, id);
    }
    return new ValueCodecs(this.registry === null ? null : lookupIn(this.registry), ids);
  }

  /** May be called repeatedly. */
  close(): Promise<void> {
    this.#closing ??= this.log.close().finally(() => this.#folder?.release());
    return this.#closing;
  }

  async #register({ name, schema }: TypedTopic<unknown>): Promise<number | null> {
    const { registry } = this;
    if (registry === null) return null;
    const subject = `${name}-value`;
    const latest = await inOurTerms(registry.latest(subject));
    if (latest !== null && !(await inOurTerms(registry.isCompatible(subject, schema.json)))) {
      const level = await inOurTerms(registry.compatibilityLevel(subject));
      const why = explainIncompatibility(latest, schema.json, level).join('; ') || 'the registry does not say where';
      throw new FreshetError(
        'schema',
        `${schema.name} is not compatible with the schema registered as "${subject}": ${why}.`,
      );
    }
    return inOurTerms(registry.register(subject, schema.json));
  }
}

async function refuseHeld(folder: string): Promise<void> {
  const holder = await readLock(folder);
  if (holder === null) return;
  const where = holder.address === undefined ? '' : ` Its HTTP API is at ${holder.address}.`;
  throw new FreshetError(
    'locked',
    `KAFKA_BROKERS is not set, and the log in ${folder} is held by process ${holder.pid}.${where}`,
  );
}
