/**
 * Puts one process together: log, stores, topics, migrations, then the requested roles, then the demo. Everything is
 * started in the order of the data flow and stopped in reverse order.
 */
import { randomBytes } from 'node:crypto';
import { createRuns } from '../jobs/create-runs.js';
import type { Worker } from '../jobs/worker.js';
import { systemClock } from '../runtime/process/clock.js';
import { type DataFolder, prepareDataFolder } from '../runtime/process/data-folder.js';
import { asError, FreshetError } from '../runtime/process/errors.js';
import { announcePresence } from '../runtime/process/presence.js';
import type { Service } from '../runtime/process/service.js';
import type { Application } from '../runtime/tasks/application.js';
import { loadTokens } from '../serving/access/tokens.js';
import { createProbes } from '../serving/probes.js';
import { checkPort, type Server } from '../serving/server.js';
import { RUNNING_SETS } from '../topics/running.js';
import { type Foundation, openFoundation } from './foundation.js';
import { OverviewSampler } from './overview.js';
import { startAudits, startVersions } from './published.js';
import { ReadinessWatch, type Waiting } from './readiness.js';
import { openReporting, type Reporting } from './reporting.js';
import type { Ground, StoreGround } from './roles/ground.js';
import { type Applications, startProcessors } from './roles/processor.js';
import { startPublisher } from './roles/publisher.js';
import { startServing } from './roles/serving.js';
import { startSnapshotters } from './roles/snapshotter.js';
import type { ComposeOptions, Demo, DemoScene, Running, UsedPart } from './running.js';
import type { Settings } from './settings.js';
import { SNAPSHOT_JOBS } from './snapshotters.js';

/** What runs on top of the stores; null for anything that does not run here. */
interface OverStores extends Pick<DemoScene, 'publisher' | 'published'> {
  readonly worker: Worker | null;
}

const NO_STORES: OverStores = { publisher: null, worker: null, published: null };

export class Composition implements Running {
  readonly name = 'freshet';
  readonly parts: UsedPart[] = [];
  readonly failed: Promise<Error>;
  readonly #settings: Settings;
  readonly #o: ComposeOptions;
  readonly #sets = RUNNING_SETS;
  readonly #reporting: Reporting;
  readonly #clock = systemClock;
  readonly #ending = new AbortController();
  readonly #readiness = new ReadinessWatch();
  /** Everything that is open, in the order of opening, with the function that closes it. */
  readonly #open: { readonly what: string; readonly close: () => Promise<void> }[] = [];
  readonly #localToken: string | null;
  #folder: DataFolder | null = null;
  #fail: (error: Error) => void = () => undefined;
  #server: Server | null = null;
  #demoWaits: string | null = null;
  #background: Promise<void>[] = [];
  #stopping: Promise<void> | null = null;

  constructor(settings: Settings, options: ComposeOptions) {
    this.#settings = options.demo?.settings(settings) ?? settings;
    this.#o = options;
    this.#reporting = openReporting(options.logger);
    const asksForTokens = settings.API_TOKENS !== undefined || settings.API_TOKENS_FILE !== undefined;
    this.#localToken = asksForTokens ? randomBytes(32).toString('hex') : null;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  get address(): string | null {
    return this.#server?.address() ?? null;
  }

  get ready(): Promise<void> {
    return this.#readiness.ready;
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
    const { roles, demo, logger } = this.#o;
    if (roles.includes('serving')) await checkServing(this.#settings);
    else await this.#listenForProbes();
    const foundation = await openFoundation(this.#settings, {
      sets: this.#sets,
      logger,
      // A process with only the role processor needs no stores.
      stores: roles.some((role) => role !== 'processor'),
      createsTopics: roles.some((role) => role !== 'serving'),
      // The demo records there what it has loaded.
      folder: demo !== null,
      keep: (what, close) => this.#open.push({ what, close }),
      onPart: (name, use) => this.parts.push({ name, use }),
      onFailed: (error) => this.#fail(error),
    });
    this.#folder = foundation.folder;
    this.#demoWaits = demo === null ? null : 'the demo shop';
    const ground: Ground = {
      ...foundation,
      settings: this.#settings,
      ...this.#reporting,
      clock: this.#clock,
      sets: this.#sets,
      start: (service) => this.#run(service),
    };
    const applications = roles.includes('processor') ? await startProcessors(ground) : null;
    foundation.skips.subscribe(() => {
      for (const application of allOf(applications)) application.retryStopped();
    });
    const over =
      foundation.stores === null
        ? NO_STORES
        : await this.#overStores({ ...ground, stores: foundation.stores }, foundation.folder, applications);
    this.#follow(foundation, applications, over);
  }

  async #overStores(
    ground: StoreGround,
    folder: DataFolder | null,
    applications: Applications | null,
  ): Promise<OverStores> {
    const { roles, demo } = this.#o;
    const publisher = roles.includes('publisher') ? await startPublisher(ground) : null;
    const versions = await startVersions(ground);
    const worker = await startSnapshotters(ground, roles, versions);
    const audits = await startAudits(ground, { publishes: publisher !== null, after: this.ready });
    const runs = createRuns(ground.stores.database, SNAPSHOT_JOBS);
    if (roles.includes('serving')) {
      const overview = new OverviewSampler({
        ...ground,
        demo: demo !== null,
        applications: allOf(applications),
        publisher,
        isReady: () => this.#readiness.current().ready,
      });
      this.#background.push(overview.follow(this.#ending.signal));
      const isReady = () => this.#readiness.current();
      const localToken = this.#localToken;
      this.#server = await startServing(ground, { overview, versions, runs, audits, isReady, localToken });
      await folder?.announce(this.#server.address(), localToken ?? undefined);
      await this.#present(this.#server.address());
    }
    return { publisher, worker, published: worker === null ? null : { versions, runs } };
  }

  /** Before anything else, so that a start that takes long can be watched. */
  async #listenForProbes(): Promise<void> {
    const { logger } = this.#o;
    const { METRICS_PORT: port } = this.#settings;
    if (port === 'off') return await this.#present(null);
    const { metrics } = this.#reporting;
    const probes = await createProbes({
      settings: this.#settings,
      port,
      logger,
      metrics,
      isReady: () => this.#readiness.current(),
      ...(this.#localToken === null ? {} : { localToken: this.#localToken }),
    });
    await this.#run(probes);
    this.parts.push({ name: 'health, metrics', use: probes.address() });
    await this.#present(probes.address());
  }

  /** Tells the log and commands on this machine where this process listens. */
  async #present(address: string | null): Promise<void> {
    const { roles, logger } = this.#o;
    if (address !== null) logger.info({ event: 'listening', address, roles });
    const { FRESHET_DATA_DIR: folder } = this.#settings;
    try {
      await prepareDataFolder(folder);
      const token = this.#localToken === null ? {} : { token: this.#localToken };
      const close = await announcePresence(folder, { roles: [...roles], address, ...token });
      this.#open.push({ what: 'presence', close });
    } catch (error) {
      // Everything else may be on other machines, and the disk read-only.
      logger.warn({ event: 'presence_off', error: asError(error).message });
    }
  }

  /** What continues once everything is started: the demo, and the watch over readiness. */
  #follow(
    { log, codec, folder, stores }: Foundation,
    applications: Applications | null,
    { publisher, worker, published }: OverStores,
  ): void {
    const { demo } = this.#o;
    const { features = [], corpus = null } = applications ?? {};
    if (demo !== null)
      this.#background.push(
        this.#runDemo(demo, { log, codec, folder: folder!, features, corpus, publisher, published }),
      );
    const others = (): Waiting[] => [
      ...(worker?.waiting ?? []),
      ...features.flatMap(({ catalogue: { name, problem } }) => (problem === null ? [] : [{ name, reason: problem }])),
      ...(publisher?.stuck() ?? []),
      ...(this.#demoWaits === null ? [] : [{ name: this.#demoWaits }]),
    ];
    const watched = { applications: allOf(applications), others, stores, log };
    this.#background.push(this.#readiness.follow(watched, this.#clock, this.#ending.signal));
  }

  async #runDemo(
    demo: Demo,
    scene: Omit<DemoScene, 'sets' | 'logger' | 'clock' | 'signal' | 'waitFor' | 'start'>,
  ): Promise<void> {
    const { signal } = this.#ending;
    try {
      await demo.run({
        ...scene,
        sets: this.#sets,
        logger: this.#o.logger,
        clock: this.#clock,
        signal,
        waitFor: (what) => {
          this.#demoWaits = what;
        },
        start: (service) => this.#run(service),
      });
    } catch (error) {
      if (!signal.aborted) this.#fail(asError(error));
    }
  }

  async #run(service: Service): Promise<void> {
    await service.start();
    this.#open.push({ what: service.name, close: () => service.stop() });
  }

  async #stop(): Promise<void> {
    this.#ending.abort();
    await this.#folder?.announceEnd().catch(() => undefined);
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

/** Finds out before anything is created that the server could not start. */
async function checkServing(settings: Settings): Promise<void> {
  loadTokens(settings);
  if (settings.PORT !== 0) await checkPort({ host: settings.HOST, port: settings.PORT, setting: 'PORT' });
}

function allOf(applications: Applications | null): Application[] {
  if (applications === null) return [];
  const { features, corpus, embeddings } = applications;
  return [...features.map(({ application }) => application), corpus, embeddings];
}
