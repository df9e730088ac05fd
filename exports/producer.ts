/**
 * A typed producer: every record is checked by the rules of the HTTP API before it is written, goes to the partition
 * that murmur2 assigns to its key, and counts as written once all replicas have it. Records sent while a write is in
 * progress are collected for the next one.
 */
import { checkId } from '../ingest/fields.js';
import { InputError } from '../ingest/input-error.js';
import { type InputKind, inputKinds } from '../ingest/records.js';
import { type OutgoingRecord, SharedWriter } from '../ingest/shared-writer.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import { SchemaError } from '../schemas/codec.js';
import type { Document, Event, Product, User } from '../schemas/records.js';
import type { ValueCodec } from '../schemas/value-codec.js';
import { producerTopics, type TypedTopic } from '../topics/typed.js';
import { Connection, type ConnectionOptions } from './connection.js';

const WAIT_MS_MAX = 30_000;
const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
/** Records in one write of sendAll. */
const CHUNK_RECORDS_MAX = 10_000;
const CHUNK_BYTES_MAX = 4 * 1024 * 1024;

type Time = number | string | Date;
type WithDefaults<T, Optional extends keyof T, Times extends keyof T> = Omit<T, Optional | Times> &
  Partial<Omit<Pick<T, Optional>, Times>> & { [K in Exclude<Times, Optional>]: Time } & {
    [K in Extract<Times, Optional>]?: Time;
  };

/** The records accepted for each topic. Times are ms since 1970, ISO 8601 with a zone, or a Date. */
export interface ProducerRecords {
  events: WithDefaults<Event, 'category', 'ts'>;
  products: WithDefaults<Product, 'price' | 'updated_at', 'updated_at'>;
  documents: WithDefaults<Document, 'language' | 'source' | 'updated_at', 'updated_at'>;
  users: WithDefaults<User, 'active' | 'updated_at', 'updated_at'>;
}

export type ProducerTopic = keyof ProducerRecords;

/**
 * Errors of every method: FreshetError; 'invalid_data' before anything is written, 'unavailable' if too much is
 * pending, 'timeout' and the log's own if it is unknown whether the records were written: send them again with the same
 * event_id, which counts once.
 */
export interface Producer {
  /** Resolves once the record is in the log. Many at once are fast: await them together, or use sendAll. */
  send<K extends ProducerTopic>(topic: K, record: ProducerRecords[K]): Promise<void>;
  /** Sends any number of records, with at most a few thousand in memory. Resolves with their number. */
  sendAll<K extends ProducerTopic>(
    topic: K,
    records: Iterable<ProducerRecords[K]> | AsyncIterable<ProducerRecords[K]>,
  ): Promise<number>;
  /** Deletes a key, all the way to Redis and Postgres. To erase a user's events, use POST /v1/erasures instead. */
  delete(topic: Exclude<ProducerTopic, 'events'>, key: string): Promise<void>;
  /** Writes to a topic of your own; null deletes the key. */
  write<T>(topic: TypedTopic<T>, key: string, value: T | null): Promise<void>;
  /** Waits for writes in progress. May be called repeatedly. */
  close(): Promise<void>;
}

/** Connects by the settings. Errors: 'settings', 'connection', 'access', 'locked'. */
export async function createProducer(options: ConnectionOptions = {}): Promise<Producer> {
  return new LogProducer(await Connection.open(options));
}

class LogProducer implements Producer {
  readonly #connection: Connection;
  /** One per topic: at the first write, its schema is registered and its existence checked. */
  readonly #topics = new Map<string, Promise<Outlet>>();
  #closing: Promise<void> | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async send<K extends ProducerTopic>(topic: K, record: ProducerRecords[K]): Promise<void> {
    const value = read(kindOf(topic), record);
    const { name, schema } = producerTopics[topic];
    const outlet = await this.#outlet(producerTopics[topic] as TypedTopic<unknown>);
    await outlet.writer.write([this.#outgoing(name, value.key, encode(outlet.codec, value.value, schema.name))]);
  }

  async sendAll<K extends ProducerTopic>(
    topic: K,
    records: Iterable<ProducerRecords[K]> | AsyncIterable<ProducerRecords[K]>,
  ): Promise<number> {
    const kind = kindOf(topic);
    const { name, schema } = producerTopics[topic];
    const outlet = await this.#outlet(producerTopics[topic] as TypedTopic<unknown>);
    let sent = 0;
    let chunk: OutgoingRecord[] = [];
    let bytes = 0;
    let writing: Promise<void> = Promise.resolve();
    const flush = async () => {
      await writing;
      sent += chunk.length;
      writing = outlet.writer.write(chunk);
      // Reported by the next await; an unhandled rejection would end the process first.
      writing.catch(() => undefined);
      chunk = [];
      bytes = 0;
    };
    for await (const record of records) {
      const { key, value } = read(kind, record);
      const encoded = encode(outlet.codec, value, schema.name);
      chunk.push(this.#outgoing(name, key, encoded));
      bytes += encoded.length;
      if (chunk.length >= CHUNK_RECORDS_MAX || bytes >= CHUNK_BYTES_MAX) await flush();
    }
    await flush();
    await writing;
    return sent;
  }

  async delete(topic: Exclude<ProducerTopic, 'events'>, key: string): Promise<void> {
    const outlet = await this.#outlet(producerTopics[topic] as TypedTopic<unknown>);
    await outlet.writer.write([this.#outgoing(topic, checkedKey(key), null)]);
  }

  async write<T>(topic: TypedTopic<T>, key: string, value: T | null): Promise<void> {
    const outlet = await this.#outlet(topic as TypedTopic<unknown>);
    const bytes = value === null ? null : encode(outlet.codec, value, topic.schema.name);
    await outlet.writer.write([this.#outgoing(topic.name, checkedKey(key), bytes)]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const outlet of await Promise.allSettled(this.#topics.values()))
      if (outlet.status === 'fulfilled') await outlet.value.writer.close();
    await this.#connection.close();
  }

  #outgoing(topic: string, key: string, value: Buffer | null): OutgoingRecord {
    if (this.#closing !== null) throw new FreshetError('unavailable', 'The producer is closed.');
    return { topic, key: Buffer.from(key), value };
  }

  #outlet(topic: TypedTopic<unknown>): Promise<Outlet> {
    let outlet = this.#topics.get(topic.name);
    if (outlet === undefined) {
      outlet = this.#open(topic);
      this.#topics.set(topic.name, outlet);
      // After a failure, the next record may succeed.
      outlet.catch(() => this.#topics.delete(topic.name));
    }
    return outlet;
  }

  async #open(topic: TypedTopic<unknown>): Promise<Outlet> {
    const { log, settings } = this.#connection;
    if ((await log.admin.describeTopic(topic.name)) === null)
      throw new FreshetError(
        'unknown_topic',
        `Topic ${topic.name} does not exist${settings.KAFKA_BROKERS ? ` at ${settings.KAFKA_BROKERS.join(', ')}` : ''}: ` +
          'run "freshet topics apply", or start the application that owns it.',
      );
    const codecs = await this.#connection.codecs([topic]);
    const limits = { topics: [topic.name], waitMsMax: WAIT_MS_MAX, queuedBytesMax: QUEUED_BYTES_MAX };
    return { codec: codecs.of(topic), writer: new SharedWriter(log, limits) };
  }
}

interface Outlet {
  readonly codec: ValueCodec<unknown>;
  readonly writer: SharedWriter;
}

function kindOf(topic: ProducerTopic): InputKind<object> {
  const kind = inputKinds.get(topic);
  if (kind === undefined)
    throw new FreshetError('unknown_topic', `Producers send ${[...inputKinds.keys()].join(', ')}; not ${topic}.`);
  return kind as InputKind<object>;
}

function read(kind: InputKind<object>, record: object): { key: string; value: object } {
  try {
    const plain = Object.entries(record).map(([name, value]) => [
      name,
      value instanceof Date ? value.getTime() : value,
    ]);
    const value = kind.read(Object.fromEntries(plain.filter(([, given]) => given !== undefined)), Date.now());
    return { key: (value as Record<string, string>)[kind.keyField]!, value };
  } catch (error) {
    if (error instanceof InputError) throw new FreshetError('invalid_data', `${kind.topic}: ${error.message}`);
    throw error;
  }
}

function encode(codec: ValueCodec<unknown>, value: unknown, schema: string): Buffer {
  try {
    return codec.encode(value);
  } catch (error) {
    if (error instanceof SchemaError) throw new FreshetError('invalid_data', error.message, { cause: error });
    throw new FreshetError('invalid_data', `not a ${schema}: ${messageOf(error)}`, { cause: error });
  }
}

function checkedKey(key: string): string {
  try {
    return checkId('key', key);
  } catch (error) {
    throw new FreshetError('invalid_data', messageOf(error), { cause: error });
  }
}
