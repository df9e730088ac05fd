/**
 * Runs your own features in the same way as the built-in ones: tasks distributed over every process that starts the
 * same application, each exactly once, restored after any end.
 */
import { openReporting, type Reporting } from '../assembly/reporting.js';
import { openSkips, type Skips } from '../ingest/skips.js';
import type { Log } from '../runtime/log/log.js';
import { lookupIn } from '../runtime/log/reading-codec.js';
import { systemClock } from '../runtime/process/clock.js';
import { FreshetError } from '../runtime/process/errors.js';
import { silentLogger } from '../runtime/process/logger.js';
import type { Service } from '../runtime/process/service.js';
import { Application, TASKS_MAX } from '../runtime/tasks/application.js';
import { Checkpoints } from '../runtime/tasks/checkpoints.js';
import type { FeatureDefinition } from '../runtime/tasks/feature.js';
import { Codec } from '../schemas/codec.js';
import { applyTopics, TopicsRefusedError } from '../topics/apply.js';
import { skips as skipsTopic } from '../topics/events.js';
import type { TypedTopic } from '../topics/typed.js';
import { Connection, type ConnectionOptions } from './connection.js';

export interface OwnApplicationOptions extends ConnectionOptions {
  /**
   * Lower case, digits, dot, dash. Names the group, the transactional ids and the changelogs: another name is another
   * application, which folds everything from the beginning.
   */
  readonly name: string;
  readonly features: readonly FeatureDefinition[];
  /** A folder for checkpoints, which make restarts faster (CHECKPOINT_INTERVAL_S). By default, tasks keep none. */
  readonly checkpointFolder?: string;
}

export interface OwnApplication extends Service {
  /** Resolves with the first error that stopped a task for good; the others continue. */
  readonly failed: Promise<Error>;
  /** What tasks of this process are still waiting for; empty once all of them are restored. */
  readonly waiting: readonly string[];
  /** Its metrics in the text format of Prometheus. */
  metrics(): Promise<string>;
}

const FAILURE_CHECK_MS = 500;

/**
 * An application that can be started and stopped. start() creates missing topics and resolves once the group is joined.
 * Errors of start(): 'settings', 'connection', 'access', 'locked', 'unknown_topic' if an input is missing, 'state' if a
 * topic of that name differs, 'schema' if the registry rejects one.
 */
export function createApplication(options: OwnApplicationOptions): OwnApplication {
  const { name, features } = options;
  if (!/^[a-z][a-z0-9.-]*$/.test(name) || /^features\.v\d+$/.test(name))
    throw new FreshetError(
      'settings',
      `"${name}" cannot name an application: use lower case, digits, dot, dash; features.v<n> is reserved.`,
    );
  if (features.length === 0) throw new FreshetError('settings', `Application ${name} has no features.`);
  return new RunningFeatures(options);
}

class RunningFeatures implements OwnApplication {
  readonly failed: Promise<Error>;
  readonly #o: OwnApplicationOptions;
  readonly #reporting: Reporting;
  readonly #ending = new AbortController();
  #fail: (error: Error) => void = () => undefined;
  #connection: Connection | null = null;
  #application: Application | null = null;
  #skips: Skips | null = null;
  #watching: Promise<void> = Promise.resolve();

  constructor(options: OwnApplicationOptions) {
    this.#o = options;
    this.#reporting = openReporting(options.logger ?? silentLogger);
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  get name(): string {
    return this.#o.name;
  }

  get waiting(): readonly string[] {
    return this.#application?.waiting ?? ['its start'];
  }

  metrics(): Promise<string> {
    return this.#reporting.metrics.registry.metrics();
  }

  async start(): Promise<void> {
    this.#connection = await Connection.open(this.#o);
    try {
      await this.#start(this.#connection);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#watching;
    await this.#application?.stop();
    this.#application = null;
    await this.#skips?.stop();
    this.#skips = null;
    await this.#connection?.close();
  }

  async #start(connection: Connection): Promise<void> {
    const { settings } = connection;
    const topics: TypedTopic<unknown>[] = [];
    for (const feature of this.#o.features) topics.push(...(await this.#topicsOf(connection, feature)));
    await applyOwnTopics(connection, topics);
    const codecs = await connection.codecs(topics.filter(({ name }) => !name.startsWith(`${this.name}.`)));
    // For markers and skips; it writes only in our own encoding.
    const codec = new Codec(connection.registry === null ? null : lookupIn(connection.registry));
    const log = await this.#withoutSkipped(connection, codec);
    const application = new Application({
      name: this.name,
      processors: this.#o.features.map((feature) => feature.processor({ application: this.name, codecs })),
      log,
      codec,
      ...this.#reporting,
      clock: systemClock,
      commitIntervalMs: settings.COMMIT_INTERVAL_MS,
      changelogIntervalMs: settings.CHANGELOG_INTERVAL_S * 1_000,
      checkpoints: this.#checkpoints(connection),
    });
    this.#application = application;
    this.#skips?.subscribe(() => application.retryStopped());
    await application.start();
    this.#watching = this.#watch(application);
  }

  /** The log without what operators have given up. Where Freshet's topics were never created, that is nothing. */
  async #withoutSkipped({ log: whole, logger }: Connection, codec: Codec): Promise<Log> {
    if ((await whole.admin.describeTopic(skipsTopic.name)) === null) return whole;
    const { log, skips } = await openSkips({ log: whole, codec, logger, clock: systemClock });
    this.#skips = skips;
    return log;
  }

  #checkpoints({ settings }: Connection): Checkpoints | null {
    const { checkpointFolder: folder } = this.#o;
    if (folder === undefined || settings.CHECKPOINT_INTERVAL_S === 0) return null;
    const intervalMs = settings.CHECKPOINT_INTERVAL_S * 1_000;
    return new Checkpoints({ ...this.#reporting, folder, intervalMs, clock: systemClock });
  }

  /** The changelog has one partition per task, and the input determines their number. */
  async #topicsOf({ log }: Connection, { name, input, topics }: FeatureDefinition): Promise<TypedTopic<unknown>[]> {
    const found = await log.admin.describeTopic(input.name);
    if (found === null)
      throw new FreshetError('unknown_topic', `Topic ${input.name}, the input of ${name}, does not exist.`);
    return [...topics(this.name, Math.min(found.partitions, TASKS_MAX))];
  }

  async #watch(application: Application): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const [failure] = application.failures;
      if (failure !== undefined) {
        this.#fail(failure.error);
        return;
      }
      await systemClock.sleep(FAILURE_CHECK_MS, signal);
    }
  }
}

async function applyOwnTopics({ log, settings }: Connection, topics: readonly TypedTopic<unknown>[]): Promise<void> {
  const once = [...new Map(topics.map((topic) => [topic.name, topic])).values()];
  try {
    await applyTopics(log.admin, once, {
      kind: log.kind,
      partitions: settings.PARTITIONS,
      allowCreateTime: settings.ALLOW_CREATE_TIME,
    });
  } catch (error) {
    if (error instanceof TopicsRefusedError) throw new FreshetError('state', error.message, { cause: error });
    throw error;
  }
}
