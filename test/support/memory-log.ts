/**
 * The log port in memory, for tests of code that reads and writes logs: transactions with control records (they take an
 * offset each), the last stable offset, log time, group membership. Nothing is persisted; compaction is a call. Faults
 * are set by the test.
 */
import type {
  AddOptions,
  Log,
  LogAdmin,
  LogReader,
  LogWriter,
  Membership,
  MembershipOptions,
  PartitionOffsets,
  ReaderOptions,
  ReaderStart,
  RecordColumns,
  TopicConfig,
  TopicPartition,
  TransactionalWriter,
} from '../../runtime/log/log.js';
import { RECORD_BYTES_MAX } from '../../runtime/log/log.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { partitionOf } from '../../topics/partition.js';
import { columnsOf } from './columns.js';

type Outcome = 'open' | 'committed' | 'aborted';

interface Transaction {
  outcome: Outcome;
}

interface Stored {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Null: written without a transaction. A control record has no content for readers. */
  readonly transaction: Transaction | null;
  readonly isControl: boolean;
}

interface Partition {
  records: Stored[];
  end: number;
  earliest: number;
}

interface Topic {
  readonly id: number;
  readonly config: TopicConfig;
  readonly partitions: Partition[];
}

interface Added {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: number | undefined;
}

export class MemoryLog implements Log {
  readonly kind = 'embedded';
  /** Log time; a test may change it. */
  now: () => number = Date.now;
  /** Errors for the next polls, first in first out. */
  readonly pollFailures: Error[] = [];
  /** Errors for the next flushes after they have written. */
  readonly flushFailures: Error[] = [];
  /** Number of readers opened. */
  readersOpened = 0;
  readonly #topics = new Map<string, Topic>();
  #made = 0;
  readonly #groups = new Map<string, Group>();
  readonly #epochs = new Map<string, number>();
  readonly #openTransactions = new Map<string, { transaction: Transaction; partitions: Set<Partition> }>();
  readonly #shown = new Map<string, number>();
  #waiting: (() => void)[] = [];

  readonly admin: LogAdmin = {
    listTopics: async () => [...this.#topics.keys()],
    describeTopic: async (name) => this.#topics.get(name)?.config ?? null,
    topicId: async (name) => String(this.#topic(name).id),
    createTopic: async (config) => {
      if (this.#topics.has(config.name)) throw new FreshetError('state', `topic ${config.name} exists`);
      const partitions = Array.from({ length: config.partitions }, () => ({ records: [], end: 0, earliest: 0 }));
      this.#topics.set(config.name, { id: ++this.#made, config, partitions });
    },
    deleteTopic: async (name) => {
      this.#topics.delete(name);
    },
  };

  async partitionCount(topic: string): Promise<number> {
    return this.#topic(topic).partitions.length;
  }

  async offsets(at: TopicPartition): Promise<PartitionOffsets> {
    const partition = this.#partition(at);
    return { earliest: partition.earliest, lastStable: lastStable(partition), highWatermark: partition.end };
  }

  async offsetForTime(at: TopicPartition, ms: number): Promise<number | null> {
    return this.#partition(at).records.find((record) => !record.isControl && record.timestamp >= ms)?.offset ?? null;
  }

  reader(start: readonly ReaderStart[], options: ReaderOptions = {}): LogReader {
    this.readersOpened++;
    const committedOnly = options.isolation === 'read_committed';
    const cursors = start.map((at) => ({ ...at, paused: false }));
    const cursor = ({ topic, partition }: TopicPartition) =>
      cursors.find((at) => at.topic === topic && at.partition === partition)!;
    const take = () => {
      const failure = this.pollFailures.shift();
      if (failure !== undefined) throw failure;
      return cursors.flatMap((at) => (at.paused ? [] : this.#read(at, committedOnly, options.maxBytesPerPartition)));
    };
    return {
      poll: async () => {
        const found = take();
        if (found.length > 0) return found;
        await this.#change(options.maxWaitMs ?? 250);
        return take();
      },
      position: (at) => cursor(at).offset,
      pause: (at) => {
        cursor(at).paused = true;
      },
      resume: (at) => {
        cursor(at).paused = false;
      },
      close: async () => {},
    };
  }

  async writer(topics: readonly string[]): Promise<LogWriter> {
    const buffer = this.#buffer(topics);
    return Object.assign(buffer, {
      flush: async () => {
        this.#append(buffer.take(), null);
        const failure = this.flushFailures.shift();
        if (failure !== undefined) throw failure;
      },
      close: async () => {},
    });
  }

  async transactionalWriter(id: string, topics: readonly string[]): Promise<TransactionalWriter> {
    const buffer = this.#buffer(topics);
    let epoch = -1;
    return Object.assign(buffer, {
      init: async () => {
        epoch = (this.#epochs.get(id) ?? 0) + 1;
        this.#epochs.set(id, epoch);
        this.endTransaction(id, 'aborted');
      },
      commit: async () => {
        if (this.#epochs.get(id) !== epoch) throw new FreshetError('fenced', `a newer writer has taken ${id}`);
        this.beginTransaction(id, buffer.take());
        this.endTransaction(id, 'committed');
      },
      discard: () => {
        buffer.take();
      },
      close: async () => {},
    });
  }

  /** Appends records that stay invisible to read_committed readers until endTransaction. */
  beginTransaction(id: string, added: readonly Added[]): void {
    const transaction: Transaction = { outcome: 'open' };
    const partitions = new Set<Partition>(added.map((record) => this.#partition(record)));
    this.#append(added, transaction);
    this.#openTransactions.set(id, { transaction, partitions });
  }

  endTransaction(id: string, outcome: Exclude<Outcome, 'open'>): void {
    const open = this.#openTransactions.get(id);
    if (open === undefined) return;
    this.#openTransactions.delete(id);
    open.transaction.outcome = outcome;
    for (const partition of open.partitions) {
      const offset = partition.end++;
      const timestamp = this.now();
      partition.records.push({ offset, timestamp, key: null, value: null, transaction: null, isControl: true });
    }
    this.#changed();
  }

  async join(options: MembershipOptions): Promise<Membership> {
    let group = this.#groups.get(options.group);
    if (group === undefined) {
      group = new Group();
      this.#groups.set(options.group, group);
    }
    return group.join(options, (at, offset) => this.#shown.set(`${options.group}/${nameOf(at)}`, offset));
  }

  async shownOffsets(group: string, partitions: readonly TopicPartition[]): Promise<number[]> {
    return partitions.map((at) => this.#shown.get(`${group}/${nameOf(at)}`) ?? -1);
  }

  async close(): Promise<void> {}

  /** Ends a group's membership, like a broker that has lost it. */
  failGroup(group: string, error: Error): void {
    this.#groups.get(group)?.fail(error);
  }

  /** Keeps only the newest record of each key, including tombstones unless asked to drop them; offsets stay. */
  compact(topic: string, options: { dropTombstones?: boolean } = {}): void {
    for (const partition of this.#topic(topic).partitions) {
      const newest = new Map<string, Stored>();
      for (const record of partition.records)
        if (!record.isControl && record.key !== null) newest.set(record.key.toString('latin1'), record);
      partition.records = partition.records.filter(
        (record) =>
          record.isControl ||
          (newest.get(record.key!.toString('latin1')) === record && !(options.dropTombstones && record.value === null)),
      );
    }
  }

  /** Deletes everything below an offset, as retention does. */
  truncate(at: TopicPartition, offset: number): void {
    const partition = this.#partition(at);
    partition.records = partition.records.filter((record) => record.offset >= offset);
    partition.earliest = offset;
  }

  /** Deletes the topic and recreates it empty: a new incarnation. */
  async recreate(topic: string): Promise<void> {
    const { config } = this.#topic(topic);
    await this.admin.deleteTopic(topic);
    await this.admin.createTopic(config);
  }

  #read(
    at: TopicPartition & { offset: number },
    committedOnly: boolean,
    bytesMax = Number.POSITIVE_INFINITY,
  ): RecordColumns[] {
    const partition = this.#partition(at);
    const end = committedOnly ? lastStable(partition) : partition.end;
    if (at.offset < partition.earliest || at.offset > partition.end)
      throw new FreshetError('offset_out_of_range', `${nameOf(at)}: ${at.offset} is not in the log`);
    if (at.offset >= end) return [];
    const rows: Stored[] = [];
    let bytes = 0;
    let next = end;
    for (const record of partition.records) {
      if (record.offset < at.offset || record.offset >= end) continue;
      if (record.isControl || (committedOnly && record.transaction?.outcome === 'aborted')) continue;
      if (bytes > 0 && bytes + sizeOf(record) > bytesMax) {
        next = record.offset;
        break;
      }
      bytes += sizeOf(record);
      rows.push(record);
    }
    at.offset = next;
    return [{ ...columnsOf(at.topic, at.partition, rows), nextOffset: next }];
  }

  #resolve(topic: string, key: Buffer | null, value: Buffer | null, options: AddOptions): Added {
    const count = this.#topic(topic).partitions.length;
    if (sizeOf({ key, value }) > RECORD_BYTES_MAX)
      throw new FreshetError('record_too_large', `a record of ${topic} is over ${RECORD_BYTES_MAX} bytes`);
    const partition = options.partition ?? (key === null ? 0 : partitionOf(count, key));
    return { topic, partition, key, value, timestamp: options.timestamp };
  }

  #buffer(topics: readonly string[]): Buffered {
    for (const topic of topics) this.#topic(topic);
    return new Buffered((topic, key, value, options) => this.#resolve(topic, key, value, options));
  }

  #append(added: readonly Added[], transaction: Transaction | null): void {
    for (const { topic, partition: number, key, value, timestamp: given } of added) {
      const { config } = this.#topic(topic);
      const partition = this.#partition({ topic, partition: number });
      const timestamp = config.logAppendTime ? this.now() : (given ?? this.now());
      partition.records.push({ offset: partition.end++, timestamp, key, value, transaction, isControl: false });
    }
    if (added.length > 0) this.#changed();
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter((wake) => wake !== done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.push(done);
    });
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new FreshetError('unknown_topic', `there is no topic ${name}`);
    return topic;
  }

  #partition({ topic, partition }: TopicPartition): Partition {
    const found = this.#topic(topic).partitions[partition];
    if (found === undefined) throw new FreshetError('unknown_topic', `${topic} has no partition ${partition}`);
    return found;
  }
}

type Resolve = (topic: string, key: Buffer | null, value: Buffer | null, options: AddOptions) => Added;

class Buffered {
  #added: Added[] = [];
  readonly #resolve: Resolve;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options: AddOptions = {}): void {
    this.#added.push(this.#resolve(topic, key && Buffer.from(key), value && Buffer.from(value), options));
  }

  get bufferedRecords(): number {
    return this.#added.length;
  }

  get bufferedBytes(): number {
    return this.#added.reduce((sum, record) => sum + sizeOf(record), 0);
  }

  take(): Added[] {
    return this.#added.splice(0);
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function sizeOf({ key, value }: Pick<Stored, 'key' | 'value'>): number {
  return (key?.length ?? 0) + (value?.length ?? 0);
}

function lastStable(partition: Partition): number {
  return partition.records.find((record) => record.transaction?.outcome === 'open')?.offset ?? partition.end;
}

/** Members of a group; every change revokes from all and reassigns, one change at a time. */
class Group {
  #members: MembershipOptions[] = [];
  #generation = 0;
  #last: Promise<void> = Promise.resolve();

  async join(options: MembershipOptions, show: (at: TopicPartition, offset: number) => void): Promise<Membership> {
    await this.#rebalance(() => this.#members.push(options));
    return {
      confirmed: async () => {
        await this.#last;
        return this.#members.includes(options);
      },
      showOffsets: async (offsets) => {
        for (const { offset, ...at } of offsets) show(at, offset);
      },
      leave: async () => {
        if (!this.#members.includes(options)) return;
        await options.onRevoked();
        await this.#rebalance(() => {
          this.#members = this.#members.filter((member) => member !== options);
        });
      },
    };
  }

  fail(error: Error): void {
    for (const member of this.#members.splice(0)) member.onFailed(error);
  }

  #rebalance(change: () => void): Promise<void> {
    this.#last = this.#last.then(async () => {
      for (const member of this.#members) await member.onRevoked();
      change();
      const generation = ++this.#generation;
      for (const [index, member] of this.#members.entries()) {
        const tasks = Array.from({ length: member.tasks }, (_, task) => task);
        const own = tasks.filter((task) => task % this.#members.length === index);
        await member.onAssigned({ generation, tasks: own });
      }
    });
    return this.#last;
  }
}
