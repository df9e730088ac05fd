/** Access through the log port: Kafka, or the log on disk if no other process holds it. */
import { InputError } from '../../ingest/input-error.js';
import { type InputKind, readKeyed } from '../../ingest/records.js';
import { type Log, type LogWriter, RECORD_BYTES_MAX } from '../../runtime/log/log.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import { decodeRecord, type RawRecord } from '../../serving/reading/decode.js';
import { type Position, readRaw } from '../../serving/reading/raw-reader.js';
import { type TopicState, topicStates } from '../../serving/reading/topic-states.js';
import type { TopicDeclaration } from '../../topics/topic.js';
import type { LineProblem, LogAccess, ReadAnswer, ReadOptions, RecordSink } from './access.js';
import { keyedRecord } from './keyed-record.js';

interface DirectAccessOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly declarations: readonly TopicDeclaration[];
  readonly where: string;
  /** Runs after the log is closed. */
  readonly onClose?: () => Promise<void>;
}

export class DirectAccess implements LogAccess {
  readonly where: string;
  readonly log: Log;
  readonly codec: Codec;
  readonly #declarations: ReadonlyMap<string, TopicDeclaration>;
  readonly #onClose: () => Promise<void>;

  constructor({ log, codec, declarations, where, onClose }: DirectAccessOptions) {
    this.log = log;
    this.where = where;
    this.codec = codec;
    this.#declarations = new Map(declarations.map((declaration) => [declaration.name, declaration]));
    this.#onClose = onClose ?? (async () => {});
  }

  topics(): Promise<TopicState[]> {
    return topicStates(this.log, [...this.#declarations.values()]);
  }

  async read(name: string, start: readonly Position[], options: ReadOptions): Promise<ReadAnswer> {
    const topic = this.#declarations.get(name) ?? null;
    const { codec } = this;
    const records: RawRecord[] = [];
    const next = await readRaw(
      this.log,
      name,
      start,
      { limit: options.limit, waitMs: options.waitMs, isOver: () => options.signal.aborted },
      (columns, row) => records.push(decodeRecord(topic, codec, columns, row)),
      ({ bytes, count, valueStart, valueEnd }) => codec.prepare(bytes, count, valueStart, valueEnd),
    );
    return { records, next };
  }

  async sink(kind: InputKind): Promise<RecordSink> {
    if ((await this.log.admin.describeTopic(kind.topic)) === null)
      throw new FreshetError(
        'unknown_topic',
        `Topic ${kind.topic} does not exist in ${this.where}: run "freshet topics apply" first.`,
      );
    return new LogSink(await this.log.writer([kind.topic]), kind, this.codec);
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.#onClose();
  }
}

/** Writes of this size keep the brokers busy without taking much memory. */
const FLUSH_BYTES = 4 * 1024 * 1024;
const FLUSH_RECORDS = 40_000;

class LogSink implements RecordSink {
  readonly #writer: LogWriter;
  readonly #kind: InputKind;
  readonly #codec: Codec;

  constructor(writer: LogWriter, kind: InputKind, codec: Codec) {
    this.#writer = writer;
    this.#kind = kind;
    this.#codec = codec;
  }

  get waiting(): number {
    return this.#writer.bufferedRecords;
  }

  get isFull(): boolean {
    return this.#writer.bufferedBytes >= FLUSH_BYTES || this.#writer.bufferedRecords >= FLUSH_RECORDS;
  }

  add(_line: number, json: unknown): void {
    const { key, value } = readKeyed(this.#kind, keyedRecord(json), Date.now());
    const bytes = value === null ? null : this.#encode(value);
    if (bytes !== null && bytes.length + Buffer.byteLength(key) > RECORD_BYTES_MAX - 64)
      throw new InputError(`The record has ${bytes.length} bytes; at most 512 KiB are allowed.`);
    this.#writer.add(this.#kind.topic, Buffer.from(key), bytes);
  }

  #encode(value: unknown): Buffer {
    try {
      return this.#codec.encode(this.#kind.schema, value);
    } catch (error) {
      if (error instanceof SchemaError) throw new InputError(error.message);
      throw error;
    }
  }

  async flush(): Promise<{ written: number; rejected: LineProblem[] }> {
    const written = this.waiting;
    await this.#writer.flush();
    return { written, rejected: [] };
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }
}
