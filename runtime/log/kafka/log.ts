/** The Kafka implementation of the log port. */
import type { Logger } from '../../process/logger.js';
import type {
  Log,
  LogReader,
  LogWriter,
  Membership,
  MembershipOptions,
  PartitionOffsets,
  ReaderOptions,
  ReaderStart,
  TopicPartition,
  TransactionalWriter,
} from '../log.js';
import type { LogSettings } from '../settings.js';
import { KafkaAdmin } from './client/admin.js';
import { Cluster } from './client/cluster.js';
import { Coordinator } from './client/coordinator.js';
import { KafkaMembership } from './client/membership.js';
import { availableOffsets, offsetAt } from './client/offsets.js';
import { connectionOptions } from './client/options.js';
import { KafkaReader } from './client/reader.js';
import { persist } from './client/retry.js';
import { KafkaTransactionalWriter } from './client/transactional-writer.js';
import { KafkaWriter } from './client/writer.js';
import { check } from './wire/errors.js';
import { committedOffsets } from './wire/group-messages.js';

const SHOWN_OFFSETS_LIMIT_MS = 30_000;

/**
 * Connects to KAFKA_BROKERS. Throws 'connection' when no broker answers within about ten seconds, 'access' when the
 * broker refuses us, 'settings'.
 */
export async function openKafkaLog(settings: LogSettings, logger: Logger): Promise<Log> {
  const { seeds, ...options } = connectionOptions(settings, logger);
  return new KafkaLog(await Cluster.open(seeds, options), logger);
}

class KafkaLog implements Log {
  readonly kind = 'kafka';
  readonly admin: KafkaAdmin;
  readonly #cluster: Cluster;
  readonly #logger: Logger;
  /** Closed first when the log closes: they leave their groups. */
  readonly #memberships = new Set<KafkaMembership>();

  constructor(cluster: Cluster, logger: Logger) {
    this.#cluster = cluster;
    this.#logger = logger;
    this.admin = new KafkaAdmin(cluster);
  }

  partitionCount(topic: string): Promise<number> {
    return this.#cluster.partitionCount(topic);
  }

  offsets(partition: TopicPartition): Promise<PartitionOffsets> {
    return availableOffsets(this.#cluster, partition, this.#cluster.signal);
  }

  async offsetForTime(partition: TopicPartition, ms: number): Promise<number | null> {
    const offset = await offsetAt(this.#cluster, partition, Math.max(0, ms), 'read_committed', this.#cluster.signal);
    return offset < 0 ? null : offset;
  }

  reader(start: readonly ReaderStart[], options: ReaderOptions = {}): LogReader {
    return new KafkaReader(this.#cluster, start, options);
  }

  async writer(topics: readonly string[]): Promise<LogWriter> {
    return new KafkaWriter(this.#cluster, await this.#partitionCounts(topics));
  }

  async transactionalWriter(transactionalId: string, topics: readonly string[]): Promise<TransactionalWriter> {
    const counts = await this.#partitionCounts(topics);
    return new KafkaTransactionalWriter(this.#cluster, transactionalId, counts);
  }

  async join(options: MembershipOptions): Promise<Membership> {
    const membership = await KafkaMembership.join(this.#cluster, options, this.#logger);
    this.#memberships.add(membership);
    void membership.ended.then(() => this.#memberships.delete(membership));
    return membership;
  }

  async shownOffsets(group: string, partitions: readonly TopicPartition[]): Promise<number[]> {
    if (partitions.length === 0) return [];
    const what = `reading the offsets shown by group ${group}`;
    const coordinator = new Coordinator(this.#cluster, this.#cluster.control, 'group', group);
    const patience = { limitMs: SHOWN_OFFSETS_LIMIT_MS, signal: this.#cluster.signal, what };
    return persist(patience, async () => {
      const { offsets } = await coordinator.ask(committedOffsets(group, partitions), ({ error }) => error, what);
      for (const { error } of offsets) check(error, what);
      const shown = new Map(offsets.map(({ topic, partition, offset }) => [`${partition} ${topic}`, offset]));
      return partitions.map(({ topic, partition }) => shown.get(`${partition} ${topic}`) ?? -1);
    });
  }

  /** Leaves the groups, then ends every reader and writer of this log at once. */
  async close(): Promise<void> {
    await Promise.all([...this.#memberships].map((membership) => membership.leave()));
    this.#cluster.close();
  }

  async #partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    const counts = await Promise.all(topics.map(async (topic) => [topic, await this.partitionCount(topic)] as const));
    return new Map(counts);
  }
}
