/**
 * One process put together: log, stores, topics, migrations, then the roles asked for, then the demo. Everything is
 * started in the order of the data and stopped the other way round.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRuns } from '../jobs/create-runs.js';
import type { Runs } from '../jobs/runs.js';
import { Worker } from '../jobs/worker.js';
import type { Processors } from '../processors/application.js';
import { createCorpus } from '../processors/corpus/main.js';
import { createEmbeddings, type Embeddings } from '../processors/embeddings/main.js';
import { createProcessors } from '../processors/features/main.js';
import { createAudits, type LiveAudits } from '../publishing/audit/compose.js';
import { ErasureReader } from '../publishing/erasure/erasure-reader.js';
import { erasureSettings } from '../publishing/erasure/settings.js';
import { createPublisher, type Publisher } from '../publishing/live/publisher.js';
import { createReader } from '../publishing/reading/reader.js';
import { createVersions } from '../publishing/versions/create.js';
import { pinnedBy } from '../publishing/versions/pins.js';
import type { Versions } from '../publishing/versions/versions.js';
import type { Log } from '../runtime/log/log.js';
import { systemClock } from '../runtime/process/clock.js';
import { type DataFolder, prepareDataFolder } from '../runtime/process/data-folder.js';
import { asError, FreshetError } from '../runtime/process/errors.js';
import { createMetrics } from '../runtime/process/metrics.js';
import type { Service } from '../runtime/process/service.js';
import type { Settings } from '../runtime/process/settings.js';
import type { Stores } from '../runtime/stores/open-stores.js';
import type { Application } from '../runtime/tasks/application.js';
import type { Codec } from '../schemas/codec.js';
import { createModels } from '../serving/models/models.js';
import type { Readiness } from '../serving/ports.js';
import { createServer, type Server } from '../serving/server.js';
import { snapshotJobs } from '../snapshotters/snapshot-job.js';
import { corpusTopics } from '../topics/corpus.js';
import { documents, events } from '../topics/events.js';
import { featureTopics } from '../topics/features.js';
import type { ComposeOptions, Part, Running } from './compose.js';
import { loadHistory } from './demo/feeder.js';
import { endsOf, makeFirstModels } from './demo/first-models.js';
import { awaitFirstVersion } from './demo/first-version.js';
import { startTraffic } from './demo/live-feed.js';
import { createShop, type Shop } from './demo/shop.js';
import { FEATURES_VERSION, openFoundation } from './foundation.js';
import { OverviewSampler } from './overview.js';
import { SNAPSHOT_JOBS, snapshottersOf } from './snapshotters.js';

const VERSION = FEATURES_VERSION;
const CORPUS_VERSION = 1;
const WATCH_MS = 1_000;
/** A snapshot's process is given less time to stop than all of us are. */
const SNAPSHOT_STOP_MS = 5_000;
/** The demo shows its first versions soon, instead of waiting until topics that may be late are written. */
const DEMO_TERMS_INTERVAL_S = 1;
const DEMO_INTERACTIONS_INTERVAL_S = 10;

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
  #corpus: Processors | null = null;
  #embeddings: Embeddings | null = null;
  #worker: Worker | null = null;
  #demoWaits: string | null = null;
  #storesWait: string | null = null;
  #background: Promise<void>[] = [];
  #stopping: Promise<void> | null = null;

  constructor(settings: Settings, options: ComposeOptions) {
    this.#settings = options.demo ? demoSettings(settings) : settings;
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
    const { folder, log, codec, stores } = await openFoundation(settings, {
      logger,
      // Only a process of processors alone needs none.
      stores: roles.some((role) => role !== 'processor'),
      // The demo remembers there what it has loaded.
      folder: demo,
      keep: (what, close) => this.#open.push({ what, close }),
      onPart: (name, use) => this.parts.push({ name, use }),
    });
    const shared = { log, codec, settings, logger, metrics: this.#metrics, clock: this.#clock, version: VERSION };

    if (roles.includes('processor')) {
      const checkpoints = await this.#checkpoints();
      this.#processors = createProcessors({ ...shared, ...checkpoints });
      await this.#run(this.#processors);
      this.#corpus = createCorpus({ ...shared, ...checkpoints });
      await this.#run(this.#corpus);
      this.#embeddings = createEmbeddings(shared);
      await this.#run(this.#embeddings);
    }
    let publisher: Publisher | null = null;
    if (stores !== null && roles.includes('publisher')) {
      publisher = createPublisher({ ...shared, store: stores.store, database: stores.database });
      await this.#run(publisher);
    }
    let runs: Runs | null = null;
    if (stores !== null) {
      const { database, store } = stores;
      const versions = createVersions({ ...shared, database, store });
      await this.#run(versions);
      const snapshotters = await snapshottersOf(roles);
      if (snapshotters.length > 0) {
        const pace = { stopMs: SNAPSHOT_STOP_MS };
        const jobs = snapshotJobs(snapshotters, { ...shared, versions, pace });
        this.#worker = new Worker({ ...shared, database, jobs });
        await this.#run(this.#worker);
      }
      const audits = createAudits({ ...shared, ...stores, publishes: publisher !== null, after: this.ready });
      await this.#run(audits);
      runs = createRuns(database, SNAPSHOT_JOBS);
      if (roles.includes('serving')) {
        await this.#serve(log, codec, stores, publisher, audits, versions, runs);
        if (folder !== null) await folder.announce(this.#server!.address(), this.#localToken ?? undefined);
      }
      if (demo) this.#background.push(this.#demo(log, codec, folder, publisher, { versions, runs }));
    } else if (demo) this.#background.push(this.#demo(log, codec, folder, publisher, null));
    this.#background.push(this.#watch(stores));
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

  async #serve(
    log: Log,
    codec: Codec,
    stores: Stores,
    publisher: Publisher | null,
    audits: LiveAudits,
    versions: Versions,
    runs: Runs,
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
      applications: this.#applications,
      publisher,
      mode: { log: log.kind, online_store: stores.store.kind, database: settings.DATABASE_URL ? 'url' : 'private' },
    });
    const readers = createReader({
      ...stores,
      keyPrefix: settings.REDIS_KEY_PREFIX,
      clock,
      pinned: pinnedBy(settings),
    });
    const models = createModels({ ...stores, readers, settings, logger, metrics, clock });
    await this.#run(models);
    this.#server = await createServer({
      log,
      database: stores.database,
      readers,
      models: models.answers,
      erasures: new ErasureReader({ log, codec, clock, ...stores, ...erasureSettings(settings), versions: [VERSION] }),
      versions,
      runs,
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

  get #applications(): readonly Application[] {
    return [this.#processors, this.#corpus, this.#embeddings].flatMap((processors) =>
      processors?.application == null ? [] : [processors.application],
    );
  }

  #readiness(): Readiness {
    const waiting = [
      ...this.#applications.flatMap((application) => application.waiting),
      ...this.#applications
        .flatMap((application) => application.failures)
        .map(({ task, error }) => `${task}, which has stopped: ${error.message}`),
      ...(this.#worker?.waiting ?? []),
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

  async #demo(
    log: Log,
    codec: Codec,
    folder: DataFolder | null,
    publisher: Publisher | null,
    published: { readonly versions: Versions; readonly runs: Runs } | null,
  ): Promise<void> {
    const { signal } = this.#ending;
    const { logger } = this.#o;
    const { DEMO_SEED, DEMO_RATE } = this.#settings;
    try {
      this.#demoWaits = 'the demo history to be written';
      const wanted = createShop(DEMO_SEED, this.#clock.now());
      const marker = markerFile(join(folder!.path, `demo-${log.kind}.json`));
      const { shop, endOffsets } = await loadHistory({ log, codec, shop: wanted, logger, marker, signal });
      await this.#awaitVisible(log, endOffsets, publisher);
      if (published !== null && this.#worker !== null) await this.#awaitStopwords(log, published);
      this.#demoWaits = null;
      if (!signal.aborted && DEMO_RATE > 0) await this.#run(this.#traffic(log, codec, shop));
      if (published !== null && this.#worker !== null) await this.#firstModels(log, endOffsets, published);
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

  /** The documents are folded, their terms written, and a first version of the stopwords is there. */
  async #awaitStopwords(log: Log, published: { readonly versions: Versions; readonly runs: Runs }): Promise<void> {
    const { signal } = this.#ending;
    const corpus = this.#corpus?.application;
    if (corpus !== undefined) {
      const { termChanges } = corpusTopics(CORPUS_VERSION);
      this.#demoWaits = 'the demo documents to be folded';
      await corpus.progress.awaitReached(await endsOf(log, documents.name), signal);
      await corpus.progress.awaitReached(await endsOf(log, termChanges.name), signal);
      this.#demoWaits = 'the terms of the demo documents to be written';
      const isWritten = () =>
        corpus
          .parts()
          .filter(({ input }) => input.topic === termChanges.name)
          .every((part) => part.oldestDue(Number.POSITIVE_INFINITY) === Number.POSITIVE_INFINITY);
      while (!isWritten() && !signal.aborted) await this.#clock.sleep(WATCH_MS / 10, signal);
    }
    this.#demoWaits = 'the first version of the stopwords';
    await awaitFirstVersion({ ...published, job: 'stopwords', logger: this.#o.logger, clock: this.#clock, signal });
  }

  /** The shop is open meanwhile; without models it is worth looking at all the same. */
  async #firstModels(
    log: Log,
    endOffsets: readonly { readonly partition: number; readonly offset: number }[],
    published: { readonly versions: Versions; readonly runs: Runs },
  ): Promise<void> {
    const parts = () => this.#processors?.application.parts() ?? [];
    const { logger } = this.#o;
    const { signal } = this.#ending;
    try {
      await makeFirstModels({ ...published, log, parts, endOffsets, logger, clock: this.#clock, signal });
    } catch (error) {
      if (!signal.aborted) logger.error({ event: 'demo_models_failed', error: asError(error).message });
    }
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

function demoSettings(settings: Settings): Settings {
  const { TERMS_INTERVAL_S, INTERACTIONS_INTERVAL_S } = settings;
  return {
    ...settings,
    TERMS_INTERVAL_S: Math.min(TERMS_INTERVAL_S, DEMO_TERMS_INTERVAL_S),
    INTERACTIONS_INTERVAL_S: Math.min(INTERACTIONS_INTERVAL_S, DEMO_INTERACTIONS_INTERVAL_S),
  };
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
