/**
 * What we know of the cluster: its brokers, the leader of each partition, the coordinators. It is refreshed when a
 * request proves it wrong, never on a timer.
 */
import { systemClock } from '../../../process/clock.js';
import { FreshetError, messageOf } from '../../../process/errors.js';
import type { Logger } from '../../../process/logger.js';
import { type ClusterMetadata, type CoordinatorKind, findCoordinator, metadata } from '../wire/cluster-messages.js';
import {
  check,
  KafkaError,
  LEADER_NOT_AVAILABLE,
  LinkError,
  passes,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../wire/errors.js';
import type { Exchange } from '../wire/wire.js';
import type { ConnectionOptions } from './kafkajs.js';
import { lifetimeWithin } from './lifetime.js';
import { type Address, addressText, Link, Links } from './link.js';
import { closedError, pauseMs, persist } from './retry.js';

const OPEN_LIMIT_MS = 10_000;
/** A live task asks when it reopens its writer: a broker restart must not cost it the state that it has in memory. */
const LAYOUT_LIMIT_MS = 30_000;
/** A starting broker may answer before it knows its topics: an existing topic may be missing for this long. */
const MISSING_MS_MAX = 10_000;

export class Cluster {
  readonly #options: ConnectionOptions;
  readonly #seeds: readonly Address[];
  readonly #logger: Logger;
  readonly #closing = lifetimeWithin(null);
  readonly #nodes = new Map<number, Address>();
  /** Leader of each partition, -1 for none. */
  readonly #leaders = new Map<string, number[]>();
  /** The error of a topic in the last metadata answer: Kafka's number. */
  readonly #troubles = new Map<string, number>();
  /** When a topic that existed went missing (performance.now()). */
  readonly #missingSince = new Map<string, number>();
  #controllerId = -1;
  #unreachableSince: number | null = null;
  #wanted = new Set<string>();
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  /** Connections for short requests, shared by all. */
  readonly control: Links;

  private constructor(seeds: readonly Address[], options: ConnectionOptions) {
    this.#seeds = seeds;
    this.#options = options;
    this.#logger = options.logger;
    this.control = this.links(this.#closing.signal);
  }

  /** Throws 'connection' when no broker answers within about ten seconds; 'access', 'settings'. */
  static async open(seeds: readonly Address[], options: ConnectionOptions): Promise<Cluster> {
    const cluster = new Cluster(seeds, options);
    try {
      await cluster.#bootstrap();
      return cluster;
    } catch (error) {
      cluster.close();
      throw error;
    }
  }

  /** Aborts when the cluster is closed, together with everything that was opened through it. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  get brokerCount(): number {
    return this.#nodes.size;
  }

  get controllerId(): number {
    return this.#controllerId;
  }

  /** A new set of connections, closed by the signal. */
  links(signal: AbortSignal): Links {
    return new Links((nodeId) => this.#nodes.get(nodeId), this.#options, signal);
  }

  /** The leader, if known; otherwise null. */
  leaderOf(topic: string, partition: number): number | null {
    const leader = this.#leaders.get(topic)?.[partition];
    return leader === undefined || leader < 0 ? null : leader;
  }

  /** True if the last metadata answer lacked the topic, and is to be believed. */
  isUnknown(topic: string): boolean {
    const since = this.#missingSince.get(topic);
    return this.isMissing(topic) && (since === undefined || performance.now() - since > MISSING_MS_MAX);
  }

  /** True if the last metadata answer lacked the topic, which may be deleted or not known yet. */
  isMissing(topic: string): boolean {
    return this.#troubles.get(topic) === UNKNOWN_TOPIC_OR_PARTITION;
  }

  /** The topic was deleted on purpose: its absence needs no second check. */
  forget(topic: string): void {
    this.#leaders.delete(topic);
    this.#missingSince.delete(topic);
  }

  /** Throws 'unknown_topic' when the last metadata answer had no such partition; also throws when access is refused. */
  checkPartition(topic: string, partition: number): void {
    if (this.isUnknown(topic)) throw unknownTopic(topic);
    const trouble = this.#troubles.get(topic);
    if (trouble !== undefined) {
      const error = new KafkaError(trouble, `asking for ${topic}`);
      if (!passes(error)) throw error;
    }
    const count = this.#leaders.get(topic)?.length;
    if (count !== undefined && count > 0 && partition >= count)
      throw new FreshetError('unknown_topic', `Topic "${topic}" has no partition ${partition}: it has ${count}.`);
  }

  /** Always asks the cluster. Throws 'unknown_topic' with a sentence that says what to do. */
  async partitionCount(topic: string): Promise<number> {
    const what = `the partitions of ${topic}`;
    return persist({ limitMs: LAYOUT_LIMIT_MS, signal: this.#closing.signal, what }, async () => {
      await this.refresh([topic]);
      if (this.isUnknown(topic)) throw unknownTopic(topic);
      const leaders = this.#leaders.get(topic);
      if (leaders !== undefined && leaders.length > 0) return leaders.length;
      throw new KafkaError(this.#troubles.get(topic) ?? LEADER_NOT_AVAILABLE, what);
    });
  }

  /**
   * Requests the leaders of topics; concurrent calls share one request. Throws LinkError when no broker answers. A
   * topic that does not exist is no error: see isUnknown.
   */
  refresh(topics: Iterable<string>): Promise<void> {
    for (const topic of topics) this.#wanted.add(topic);
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      const wanted = this.#wanted;
      this.#wanted = new Set();
      const run = this.#ask([...wanted]);
      this.#running = run.catch(() => undefined);
      return run;
    });
    return this.#next;
  }

  /** All topics of the cluster. Throws LinkError. */
  async allTopics(): Promise<readonly { readonly topic: string; readonly internal: boolean }[]> {
    return (await this.askAny(metadata(null))).topics;
  }

  /** Throws LinkError, KafkaError. */
  async coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const { error, nodeId, host, port } = await this.askAny(findCoordinator(kind, key));
    check(error, `the coordinator of ${kind} ${key}`);
    this.#nodes.set(nodeId, { host, port });
    return nodeId;
  }

  /** Sends the request to any broker that answers. Throws LinkError. */
  async askAny<A>(exchange: Exchange<A>): Promise<A> {
    let failure: unknown = new LinkError('connection', 'no broker is known', false);
    for (const nodeId of [...this.#nodes.keys()]) {
      try {
        return await (await this.control.to(nodeId)).send(exchange);
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        failure = error;
      }
    }
    for (const seed of this.#seeds) {
      try {
        return await this.#askSeed(seed, exchange);
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  close(): void {
    this.#closing.abort();
  }

  async #askSeed<A>(seed: Address, exchange: Exchange<A>): Promise<A> {
    const link = await Link.open(seed, this.#options, this.#closing.signal);
    try {
      return await link.send(exchange);
    } finally {
      link.close();
    }
  }

  async #bootstrap(): Promise<void> {
    const deadline = Date.now() + OPEN_LIMIT_MS - this.#options.connectTimeoutMs;
    for (let n = 0; ; n++) {
      try {
        await this.#askSeeds();
        return await this.#reachAdvertised();
      } catch (error) {
        const waitMs = pauseMs(n);
        if (!(error instanceof LinkError) || Date.now() + waitMs > deadline) throw error;
        await systemClock.sleep(waitMs, this.#closing.signal);
      }
    }
  }

  async #askSeeds(): Promise<void> {
    const failures: string[] = [];
    for (const seed of this.#seeds) {
      try {
        return this.#learn(await this.#askSeed(seed, metadata([])));
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        failures.push(messageOf(error));
      }
    }
    const where = this.#seeds.map(addressText).join(',');
    throw new LinkError(
      'connection',
      `No Kafka broker answers at ${where} (${failures.join('; ')}). Check KAFKA_BROKERS and that the broker runs.`,
      false,
    );
  }

  /** The given address answers; from here on, the addresses that the brokers advertise are used. */
  async #reachAdvertised(): Promise<void> {
    const failures: string[] = [];
    for (const nodeId of this.#nodes.keys()) {
      try {
        await this.control.to(nodeId);
        return;
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        failures.push(messageOf(error));
      }
    }
    const where = this.#seeds.map(addressText).join(',');
    throw new LinkError(
      'connection',
      `Kafka answers at ${where}, but no broker can be reached at the address that it advertises ` +
        `(${failures.join('; ')}). Check advertised.listeners of the brokers.`,
      false,
    );
  }

  async #ask(topics: readonly string[]): Promise<void> {
    if (this.#closing.signal.aborted) throw closedError('Kafka');
    try {
      this.#learn(await this.askAny(metadata(topics)));
    } catch (error) {
      if (error instanceof LinkError && this.#unreachableSince === null) {
        this.#unreachableSince = Date.now();
        this.#logger.warn({ event: 'kafka_unreachable', error: messageOf(error) }, 'no Kafka broker answers; retrying');
      }
      throw error;
    }
    if (this.#unreachableSince !== null) {
      const seconds = (Date.now() - this.#unreachableSince) / 1000;
      this.#unreachableSince = null;
      this.#logger.info({ event: 'kafka_reachable', duration_seconds: seconds }, 'Kafka answers again');
    }
  }

  #learn({ nodes, controllerId, topics }: ClusterMetadata): void {
    // A starting broker may answer before it knows any other.
    if (nodes.length > 0) {
      this.#nodes.clear();
      for (const { nodeId, host, port } of nodes) this.#nodes.set(nodeId, { host, port });
    }
    this.#controllerId = controllerId;
    for (const { error, topic, partitions } of topics) {
      if (error !== 0) {
        if (error === UNKNOWN_TOPIC_OR_PARTITION && this.#leaders.has(topic))
          this.#missingSince.set(topic, performance.now());
        this.#troubles.set(topic, error);
        this.#leaders.delete(topic);
        continue;
      }
      this.#troubles.delete(topic);
      this.#missingSince.delete(topic);
      const leaders: number[] = new Array(partitions.length).fill(-1);
      for (const { partition, leader } of partitions) if (partition < leaders.length) leaders[partition] = leader;
      this.#leaders.set(topic, leaders);
    }
  }
}

export function unknownTopic(topic: string): FreshetError {
  return new FreshetError(
    'unknown_topic',
    `Topic "${topic}" does not exist. Run \`freshet topics apply\` to create it.`,
  );
}
