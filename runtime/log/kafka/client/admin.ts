/** Topics: list, describe, create with all settings at once, delete. Settings of an existing topic never change. */
import { systemClock } from '../../../process/clock.js';
import { FreshetError } from '../../../process/errors.js';
import type { Cleanup, LogAdmin, TopicConfig } from '../../log.js';
import { check, KafkaError, TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_OR_PARTITION } from '../wire/errors.js';
import { knowsTopicIds, topicId } from '../wire/topic-id-messages.js';
import { createTopic, deleteTopic, describeTopic, type TopicSetting } from '../wire/topic-messages.js';
import type { Exchange } from '../wire/wire.js';
import { type Cluster, unknownTopic } from './cluster.js';
import { pauseMs, persist } from './retry.js';

const LIMIT_MS = 30_000;
const DISAPPEAR_LIMIT_MS = 15_000;
const REPLICAS_MAX = 3;
const MIN_IN_SYNC_REPLICAS = '2';

const CLEANUP = 'cleanup.policy';
const RETENTION = 'retention.ms';
const TIMESTAMP = 'message.timestamp.type';
const OF_THEIR_OWN: ReadonlySet<string> = new Set([CLEANUP, RETENTION, TIMESTAMP]);

export class KafkaAdmin implements LogAdmin {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async listTopics(): Promise<string[]> {
    const topics = await this.#persist('listing topics', () => this.#cluster.allTopics());
    // Kafka's internal topics are marked; those of related software (registry, Connect) start with an underscore too.
    return topics.flatMap(({ topic, internal }) => (internal || topic.startsWith('__') ? [] : [topic])).sort();
  }

  async describeTopic(name: string): Promise<TopicConfig | null> {
    return this.#persist(`describing ${name}`, async () => {
      await this.#cluster.refresh([name]);
      if (this.#cluster.isUnknown(name)) return null;
      if (this.#cluster.isMissing(name)) throw new KafkaError(UNKNOWN_TOPIC_OR_PARTITION, `describing ${name}`);
      const partitions = await this.#cluster.partitionCount(name);
      const { error, message, settings } = await this.#cluster.askAny(describeTopic(name));
      check(error, message === null ? `describing ${name}` : `describing ${name} (${message})`);
      return toConfig(name, partitions, settings);
    });
  }

  /** Null where the brokers are older than Kafka 2.8. Throws 'unknown_topic'. */
  async topicId(name: string): Promise<string | null> {
    return this.#persist(`asking for the id of ${name}`, async () => {
      if (!(await this.#cluster.askAny(knowsTopicIds))) return null;
      const { error, id } = await this.#cluster.askAny(topicId(name));
      if (error === UNKNOWN_TOPIC_OR_PARTITION) throw unknownTopic(name);
      check(error, `asking for the id of ${name}`);
      return id;
    });
  }

  /** Throws 'state' when the topic exists; 'settings', with the broker's own message, when it refuses a setting. */
  async createTopic(config: TopicConfig): Promise<void> {
    const replicas = Math.min(REPLICAS_MAX, this.#cluster.brokerCount);
    const settings = new Map(Object.entries(config.settings));
    settings.set(CLEANUP, config.cleanup);
    settings.set(RETENTION, String(config.retentionMs));
    settings.set(TIMESTAMP, config.logAppendTime ? 'LogAppendTime' : 'CreateTime');
    const inSync = 'min.insync.replicas';
    if (replicas >= REPLICAS_MAX && !settings.has(inSync)) settings.set(inSync, MIN_IN_SYNC_REPLICAS);
    const request = createTopic({
      name: config.name,
      partitions: config.partitions,
      replicas,
      settings: [...settings],
    });
    await this.#persist(`creating ${config.name}`, async (n) => {
      const { error, message } = await this.#askController(request);
      // The answer to an earlier try may have been lost after the topic was created.
      if (error === TOPIC_ALREADY_EXISTS && n > 0) return;
      if (error === TOPIC_ALREADY_EXISTS) {
        // The caller will expect to see the topic, but brokers learn of it after the controller.
        await this.#until(
          `waiting for ${config.name} to appear`,
          () => !this.#cluster.isMissing(config.name),
          config.name,
        );
        throw new FreshetError('state', `Topic "${config.name}" already exists.`);
      }
      check(error, message === null ? `creating ${config.name}` : `creating ${config.name} (${message})`);
    });
    await this.#appear(config.name, config.partitions);
  }

  /** Resolves when the cluster no longer lists the topic. Throws 'unknown_topic'. */
  async deleteTopic(name: string): Promise<void> {
    await this.#cluster.partitionCount(name);
    await this.#persist(`deleting ${name}`, async (n) => {
      const error = await this.#askController(deleteTopic(name));
      if (error === 0) return;
      const failure = new KafkaError(error, `deleting ${name}`);
      if (failure.code !== 'unknown_topic') throw failure;
      if (n === 0) throw unknownTopic(name);
    });
    await this.#until(`waiting for ${name} to disappear`, () => this.#cluster.isMissing(name), name);
    this.#cluster.forget(name);
  }

  /** A new topic is not known to all brokers at once. */
  async #appear(name: string, partitions: number): Promise<void> {
    const led = () =>
      Array.from({ length: partitions }, (_, i) => i).every((i) => this.#cluster.leaderOf(name, i) !== null);
    await this.#until(`waiting for ${name} to appear`, led, name);
  }

  async #until(what: string, condition: () => boolean, topic: string): Promise<void> {
    const deadline = performance.now() + DISAPPEAR_LIMIT_MS;
    for (let n = 0; ; n++) {
      await this.#persist(what, () => this.#cluster.refresh([topic]));
      if (condition()) return;
      if (performance.now() > deadline)
        throw new FreshetError('timeout', `${what}: not done within ${DISAPPEAR_LIMIT_MS / 1000} s`);
      await systemClock.sleep(pauseMs(n, 10, 200), this.#cluster.signal);
    }
  }

  /** KRaft brokers forward the request; others need it sent to the controller itself. */
  async #askController<A>(exchange: Exchange<A>): Promise<A> {
    await this.#cluster.refresh([]);
    const link = await this.#cluster.control.to(this.#cluster.controllerId);
    return link.send(exchange);
  }

  #persist<T>(what: string, attempt: (n: number) => Promise<T>): Promise<T> {
    return persist({ limitMs: LIMIT_MS, signal: this.#cluster.signal, what }, attempt);
  }
}

function toConfig(name: string, partitions: number, settings: readonly TopicSetting[]): TopicConfig {
  const value = (setting: string) => settings.find((found) => found.name === setting)?.value ?? '';
  const own = settings.filter((setting) => setting.own && !OF_THEIR_OWN.has(setting.name));
  return {
    name,
    partitions,
    cleanup: toCleanup(value(CLEANUP)),
    retentionMs: Number(value(RETENTION)),
    logAppendTime: value(TIMESTAMP) === 'LogAppendTime',
    settings: Object.fromEntries(own.map((setting) => [setting.name, setting.value])),
  };
}

function toCleanup(text: string): Cleanup {
  const compacts = text.includes('compact');
  if (compacts && text.includes('delete')) return 'compact,delete';
  return compacts ? 'compact' : 'delete';
}
