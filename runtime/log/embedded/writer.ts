/** Both writers of the log: they gather records into batches; the committer assigns the offsets. */
import { partitionOf } from '../../../topics/partition.js';
import type { Clock } from '../../process/clock.js';
import { FreshetError } from '../../process/errors.js';
import { type AddOptions, type LogWriter, RECORD_BYTES_MAX, type TransactionalWriter } from '../log.js';
import { RecordBatchBuilder } from '../record-batch.js';
import type { Committer } from './committer.js';
import type { Partition, Topic } from './topic.js';
import { compacts } from './topic-config.js';

/** A batch is closed above this size: small enough to start reading anywhere, large next to its header. */
const BATCH_BYTES_MAX = 256 * 1024;
/** Most bytes that a record needs in addition to key and value. */
const RECORD_OVERHEAD_BYTES = 32;
/** Builders kept for the next flush: how many, and the largest batch they may have held. */
const SPARE_MAX = 32;
const SPARE_BYTES_MAX = 64 * 1024;

/** Records of one flush, by partition. */
class BatchBuffer {
  readonly #clock: Clock;
  readonly #topics: ReadonlyMap<string, Topic>;
  #builders = new Map<Partition, RecordBatchBuilder[]>();
  /** Builders for the next flush: their memory is reused. */
  #spare: RecordBatchBuilder[] = [];
  #unkeyed = 0;
  records = 0;
  bytes = 0;

  constructor(topics: readonly Topic[], clock: Clock) {
    this.#topics = new Map(topics.map((topic) => [topic.name, topic]));
    this.#clock = clock;
  }

  add(name: string, key: Uint8Array | null, value: Uint8Array | null, options: AddOptions | undefined): void {
    const topic = this.#topics.get(name);
    if (topic === undefined)
      throw new FreshetError('unknown_topic', `this writer was not opened for topic ${name}; name it when opening`);
    const length = (key?.length ?? 0) + (value?.length ?? 0);
    if (length > RECORD_BYTES_MAX)
      throw new FreshetError(
        'record_too_large',
        `a record of ${length} bytes for ${name}; at most ${RECORD_BYTES_MAX} bytes are allowed`,
      );
    if (key === null && compacts(topic.config))
      throw new FreshetError('invalid_data', `topic ${name} is compacted: a record without a key cannot be written`);
    const partition = topic.partitions[options?.partition ?? this.#choose(topic, key)];
    if (partition === undefined)
      throw new FreshetError('invalid_data', `${name} has no partition ${options?.partition}`);
    // Append time is assigned when the batch is written; until then, equal times take the least space.
    const timestamp = topic.config.logAppendTime ? 0 : (options?.timestamp ?? this.#clock.now());
    const builder = this.#builderOf(partition, length);
    const before = builder.size;
    builder.add(key, value, timestamp);
    this.bytes += builder.size - before;
    this.records++;
  }

  #choose(topic: Topic, key: Uint8Array | null): number {
    const { partitions } = topic.config;
    return key === null ? this.#unkeyed++ % partitions : partitionOf(partitions, key);
  }

  #builderOf(partition: Partition, recordBytes: number): RecordBatchBuilder {
    let builders = this.#builders.get(partition);
    if (builders === undefined) {
      builders = [];
      this.#builders.set(partition, builders);
    }
    const last = builders.at(-1);
    if (last !== undefined && last.size + recordBytes + RECORD_OVERHEAD_BYTES <= BATCH_BYTES_MAX) return last;
    const builder = this.#spare.pop() ?? new RecordBatchBuilder(4096);
    builders.push(builder);
    return builder;
  }

  /** Returns the buffered batches and starts an empty buffer; give the builders back with recycle(). */
  take(): { batches: { partition: Partition; builders: RecordBatchBuilder[] }[]; bytes: number } {
    const batches = Array.from(this.#builders, ([partition, builders]) => ({ partition, builders }));
    const { bytes } = this;
    this.#builders = new Map();
    this.records = 0;
    this.bytes = 0;
    return { batches, bytes };
  }

  recycle(batches: readonly { builders: readonly RecordBatchBuilder[] }[]): void {
    for (const { builders } of batches) {
      // Small commits need one per partition; builders that grew are left to the garbage collector.
      const builder = builders[0]!;
      if (builder.size > SPARE_BYTES_MAX || this.#spare.length >= SPARE_MAX) continue;
      builder.reset();
      this.#spare.push(builder);
    }
  }
}

abstract class BufferedWriter {
  readonly #committer: Committer;
  readonly #buffer: BatchBuffer;
  #closed = false;

  constructor(committer: Committer, topics: readonly Topic[], clock: Clock) {
    this.#committer = committer;
    this.#buffer = new BatchBuffer(topics, clock);
  }

  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options?: AddOptions): void {
    this.#checkOpen();
    this.#buffer.add(topic, key, value, options);
  }

  get bufferedRecords(): number {
    return this.#buffer.records;
  }

  get bufferedBytes(): number {
    return this.#buffer.bytes;
  }

  protected async write(transactional: boolean, admit: () => void): Promise<void> {
    this.#checkOpen();
    if (this.#buffer.records === 0) return;
    const { batches, bytes } = this.#buffer.take();
    try {
      await this.#committer.commit({
        transactional,
        batches,
        bytes,
        admit: () => {
          for (const { partition } of batches) partition.checkAlive();
          admit();
        },
      });
    } finally {
      this.#buffer.recycle(batches);
    }
  }

  /** Drops the buffer. */
  discard(): void {
    this.#buffer.recycle(this.#buffer.take().batches);
  }

  #checkOpen(): void {
    if (this.#closed) throw new FreshetError('state', 'this writer of the log is closed');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.discard();
  }
}

/** A flush is written as one commit: more than the port promises, but it costs nothing here. */
export class EmbeddedWriter extends BufferedWriter implements LogWriter {
  flush(): Promise<void> {
    return this.write(false, () => undefined);
  }
}

/** The holder of each transactional id: the newest initialised writer. In memory, as writers die with the process. */
export class TransactionalIds {
  readonly #holders = new Map<string, EmbeddedTransactionalWriter>();

  take(id: string, writer: EmbeddedTransactionalWriter): void {
    this.#holders.set(id, writer);
  }

  isHeldBy(id: string, writer: EmbeddedTransactionalWriter): boolean {
    return this.#holders.get(id) === writer;
  }
}

export class EmbeddedTransactionalWriter extends BufferedWriter implements TransactionalWriter {
  readonly #id: string;
  readonly #ids: TransactionalIds;
  readonly #serial: Committer;
  #initialised = false;

  constructor(id: string, ids: TransactionalIds, committer: Committer, topics: readonly Topic[], clock: Clock) {
    super(committer, topics, clock);
    this.#id = id;
    this.#ids = ids;
    this.#serial = committer;
  }

  /** Runs between two commits: by then an earlier writer's commit is complete in the log, or it will be refused. */
  async init(): Promise<void> {
    await this.#serial.exclusive(async () => {
      this.#ids.take(this.#id, this);
      this.#initialised = true;
    });
  }

  async commit(): Promise<void> {
    if (!this.#initialised)
      throw new FreshetError('state', `transactional writer ${this.#id}: init() must come before commit()`);
    await this.write(true, () => {
      if (!this.#ids.isHeldBy(this.#id, this))
        throw new FreshetError('fenced', `a newer writer has taken the transactional id ${this.#id}`);
    });
  }
}
