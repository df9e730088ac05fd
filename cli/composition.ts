/**
 * One process put together: log, stores, topics, migrations, then the roles asked for, then the demo. Everything is
 * started in the order of the data and stopped the other way round.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createProcessors, type Processors } from '../processors/main.js';
import { createAudits, type LiveAudits } from '../publishing/audit/compose.js';
import { ErasureReader } from '../publishing/erasure/erasure-reader.js';
import { migrateUp } from '../publishing/migrate.js';
import { createPublisher, type Publisher } from '../publishing/publisher.js';
import { createReader } from '../publishing/reader.js';
import { systemClock } from '../runtime/clock.js';
import { type DataFolder, openDataFolder, prepareDataFolder } from '../runtime/data-folder.js';
import { openEmbeddedLog } from '../runtime/embedded/log.js';
import { asError, FreshetError } from '../runtime/errors.js';
import { openKafkaLog } from '../runtime/kafka/log.js';
import type { Log } from '../runtime/log.js';
import { createMetrics } from '../runtime/metrics.js';
import type { Service } from '../runtime/service.js';
import type { Settings } from '../runtime/settings.js';
import { openStores, type Stores } from '../runtime/stores/open-stores.js';
import type { Codec } from '../schemas/codec.js';
import type { Readiness } from '../serving/ports.js';
import { createServer, type Server } from '../serving/server.js';
import { allTopics } from '../topics/all.js';
import { events } from '../topics/events.js';
import { featureTopics } from '../topics/features.js';
import { applyDeclaredTopics } from './apply-declared-topics.js';
import type { ComposeOptions, Part, Running } from './compose.js';
import { loadHistory } from './demo/feeder.js';
import { startTraffic } from './demo/live-feed.js';
import { createShop, type Shop } from './demo/shop.js';
import { erasureSettings } from './erasure-settings.js';
import { openWritingCodec } from './open-codec.js';
import { OverviewSampler } from './overview.js';

/** Version of the features application that runs. */
const VERSION = 1;
const WATCH_MS = 1_000;

export class Composition implements Running {
  readonly name = 'freshet';
  readonly parts: Part[] = [];
  readonly failed: Promise<Error>;
  readonly ready: Promise<void>;
  readonly #settings: Settings;
  readonly #o: ComposeOptions;
  readonly #metrics = createMetrics();
  readonly #clock = systemClock;
  readonly #ending = new AbortController();
  /** What is open, in the order of opening: each closes itself. */
  readonly #open: { readonly what: string; readonly close: () => Promise<void> }[] = [];
  #fail: (error: Error) => void = () => undefined;
  #setReady: () => void = () => undefined;
  readonly #localToken: string | null;
  #server: Server | null = null;
  #processors: Processors | null = null;
  #demoWaits: string | null = null;
  #storesWait: string | null = null;
  #background: Promise<void>[] = [];
  #stopping: Promise<void> | null = null;

  constructor(settings: Settings, options: ComposeOptions) {
    this.#settings = settings;
    this.#o = options;
    const asksForTokens = settings.API_TOKENS !== undefined || settings.API_TOKENS_FILE !== undefined;
    this.#localToken = asksForTokens ? randomBytes(32).toString('hex') : null;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
  }

  get address(): string | null {
    return this.#server?.address() ?? null;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const settings = this.#settings;
    const { roles, demo, logger } = this.#o;
    this.#demoWaits = demo ? 'the demo shop' : null;
    const folder = await this.#openFolder();
    const log = await this.#openLog(folder);
    const declarations = allTopics(VERSION);
    await applyDeclaredTopics(log, declarations, settings, logger);
    const codec = await openWritingCodec(settings, declarations);
    const shared = { log, codec, settings, logger, metrics: this.#metrics, clock: this.#clock, version: VERSION };

    const stores = roles.includes('publisher') || roles.includes('serving') ? await this.#openStores() : null;
    if (roles.includes('processor')) {
      this.#processors = createProcessors({ ...shared, ...(await this.#checkpoints()) });
      await this.#run(this.#processors);
    }
    let publisher: Publisher | null = null;
    if (stores !== null && roles.includes('publisher')) {
      publisher = createPublisher({ ...shared, store: stores.store, database: stores.database });
      await this.#run(publisher);
    }
    let audits: LiveAudits | null = null;
    if (stores !== null) {
      audits = createAudits({ ...shared, ...stores, publishes: publisher !== null, after: this.ready });
      await this.#run(audits);
    }
    if (stores !== null && roles.includes('serving')) {
      await this.#serve(log, codec, stores, publisher, audits);
      if (folder !== null) await folder.announce(this.#server!.address(), this.#localToken ?? undefined);
    }
    this.#background = [this.#watch(stores)];
    if (demo) this.#background.push(this.#demo(log, codec, folder, publisher));
  }

  /** Needed for whatever is private to this process, and for the demo's memory of what it has loaded. */
  async #openFolder(): Promise<DataFolder | null> {
    const { KAFKA_BROKERS, REDIS_URL, DATABASE_URL, FRESHET_DATA_DIR } = this.#settings;
    if (KAFKA_BROKERS && REDIS_URL && DATABASE_URL && !this.#o.demo) return null;
    const folder = await openDataFolder(FRESHET_DATA_DIR);
    this.#open.push({ what: 'data folder', close: () => folder.release() });
    this.parts.push({ name: 'data folder', use: FRESHET_DATA_DIR });
    return folder;
  }

  /** No lock: a task belongs to one process, and several on one machine may find each other's. */
  async #checkpoints(): Promise<{ checkpointFolder?: string }> {
    const { FRESHET_DATA_DIR, CHECKPOINT_INTERVAL_S } = this.#settings;
    if (CHECKPOINT_INTERVAL_S === 0) return {};
    try {
      await prepareDataFolder(FRESHET_DATA_DIR);
      return { checkpointFolder: join(FRESHET_DATA_DIR, 'checkpoints') };
    } catch (error) {
      this.#o.logger.warn({ event: 'checkpoints_off', error: asError(error).message });
      return {};
    }
  }

  async #openLog(folder: DataFolder | null): Promise<Log> {
    const { KAFKA_BROKERS } = this.#settings;
    const { logger } = this.#o;
    const log =
      KAFKA_BROKERS === undefined
        ? await openEmbeddedLog(join(folder!.path, 'log'), logger)
        : await openKafkaLog(this.#settings, logger);
    this.#open.push({ what: 'log', close: () => log.close() });
    const use =
      KAFKA_BROKERS === undefined
        ? 'embedded, in the data folder (set KAFKA_BROKERS for Kafka)'
        : `Kafka at ${KAFKA_BROKERS.join(', ')}`;
    this.parts.push({ name: 'log', use });
    return log;
  }

  async #openStores(): Promise<Stores> {
    const stores = await openStores(this.#settings, this.#o.logger);
    this.#open.push({ what: 'stores', close: () => stores.close() });
    this.parts.push(
      { name: 'online store', use: stores.describe.store },
      { name: 'database', use: stores.describe.database },
    );
    await migrateUp(stores.database, this.#o.logger);
    return stores;
  }

  async #serve(
    log: Log,
    codec: Codec,
    stores: Stores,
    publisher: Publisher | null,
    audits: LiveAudits | null,
  ): Promise<void> {
    const settings = this.#settings;
    const { logger, demo } = this.#o;
    const metrics = this.#metrics;
    const clock = this.#clock;
    const overview = new OverviewSampler({
      log,
      metrics,
      clock,
      demo,
      version: VERSION,
      application: this.#processors?.application ?? null,
      publisher,
      mode: { log: log.kind, online_store: stores.store.kind, database: settings.DATABASE_URL ? 'url' : 'private' },
    });
    this.#server = await createServer({
      log,
      database: stores.database,
      readers: createReader({ ...stores, keyPrefix: settings.REDIS_KEY_PREFIX, clock }),
      erasures: new ErasureReader({ log, codec, clock, ...stores, ...erasureSettings(settings), versions: [VERSION] }),
      audits,
      codec,
      settings,
      logger,
      metrics,
      clock,
      ...(this.#localToken === null ? {} : { localToken: this.#localToken }),
      isReady: () => this.#readiness(),
      overview: () => overview.current(),
    });
    await this.#run(this.#server);
  }

  async #run(service: Service): Promise<void> {
    await service.start();
    this.#open.push({ what: service.name, close: () => service.stop() });
  }

  #readiness(): Readiness {
    const waiting = [
      ...(this.#processors?.application.waiting ?? []),
      ...(this.#processors?.application.failures ?? []).map(
        ({ task, error }) => `${task}, which has stopped: ${error.message}`,
      ),
      ...[this.#demoWaits, this.#storesWait].filter((what) => what !== null),
    ];
    return { ready: waiting.length === 0, waiting };
  }

  /** Notices stores that do not answer, and the first moment at which everything is there. */
  async #watch(stores: Stores | null): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await Promise.all([stores?.store.ping(), stores?.database.ping()]);
        this.#storesWait = null;
      } catch (error) {
        this.#storesWait = `a store that does not answer: ${asError(error).message}`;
      }
      const { ready } = this.#readiness();
      if (ready) this.#setReady();
      await this.#clock.sleep(ready ? WATCH_MS : WATCH_MS / 10, signal);
    }
  }

  async #demo(log: Log, codec: Codec, folder: DataFolder | null, publisher: Publisher | null): Promise<void> {
    const { signal } = this.#ending;
    const { logger } = this.#o;
    const { DEMO_SEED, DEMO_RATE } = this.#settings;
    try {
      this.#demoWaits = 'the demo history to be written';
      const wanted = createShop(DEMO_SEED, this.#clock.now());
      const marker = markerFile(join(folder!.path, `demo-${log.kind}.json`));
      const { shop, endOffsets } = await loadHistory({ log, codec, shop: wanted, logger, marker, signal });
      await this.#awaitVisible(log, endOffsets, publisher);
      this.#demoWaits = null;
      if (!signal.aborted && DEMO_RATE > 0) await this.#run(this.#traffic(log, codec, shop));
    } catch (error) {
      if (!signal.aborted) this.#fail(asError(error));
    }
  }

  #traffic(log: Log, codec: Codec, shop: Shop): Service {
    return startTraffic({
      log,
      codec,
      shop,
      ratePerSecond: this.#settings.DEMO_RATE,
      logger: this.#o.logger,
      clock: this.#clock,
    });
  }

  /** The history is folded, emitted, and applied to the stores, as far as these roles run here. */
  async #awaitVisible(
    log: Log,
    ends: readonly { readonly partition: number; readonly offset: number }[],
    publisher: Publisher | null,
  ): Promise<void> {
    const { signal } = this.#ending;
    const progress = this.#processors?.application.progress;
    if (progress === undefined) return;
    this.#demoWaits = 'the demo history to be folded';
    await progress.awaitReached(
      ends.map((end) => ({ topic: events.name, ...end })),
      signal,
    );
    const topics = featureTopics(VERSION);
    await progress.awaitReached(await endsOf(log, topics.productActivity.name), signal);
    if (publisher === null) return;
    this.#demoWaits = 'the demo history to be published';
    for (const { name } of [topics.popularity, topics.affinity])
      await publisher.awaitApplied(name, await endsOf(log, name), signal);
  }

  async #stop(): Promise<void> {
    this.#ending.abort();
    await Promise.allSettled(this.#background);
    const errors: Error[] = [];
    for (const { what, close } of this.#open.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        this.#o.logger.error({ event: 'stop_failed', what, error: asError(error).message });
        errors.push(asError(error));
      }
    }
    if (errors.length > 0)
      throw new FreshetError('internal', `Stopping failed: ${errors.map(({ message }) => message).join('; ')}`);
  }
}

async function endsOf(log: Log, topic: string): Promise<{ topic: string; partition: number; offset: number }[]> {
  const partitions = await log.partitionCount(topic);
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { lastStable } = await log.offsets({ topic, partition });
      return { topic, partition, offset: lastStable };
    }),
  );
}

/** A small file that is either the old or the new text. */
function markerFile(path: string) {
  return {
    read: async () => {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    write: async (text: string) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    },
  };
}
