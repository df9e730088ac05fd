/**
 * Copies the records of a topic into Postgres, each one once. Its position is a row there that is updated only in the
 * transaction that stores what the records became, and only if it is where this follower started reading: of several
 * followers one advances it, and the others continue from there. A position that the topic cannot have (another topic
 * of the same name, a log that lost its end) is replaced by the topic's start; runs that are already known stay as they
 * are.
 */
import type { Log, LogReader, RecordColumns } from '../runtime/log/log.js';
import { hasCode, messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Database, Queryable } from '../runtime/stores/database.js';
import type { Codec, SchemaName } from '../schemas/codec.js';

export interface FollowerOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly database: Database;
  readonly logger: Logger;
}

interface FollowedTopic<T> {
  /** Of one partition. */
  readonly name: string;
  readonly schema: SchemaName;
  /** Errors: 'invalid_data' for a record that cannot be used, which is logged and skipped. */
  take(record: T, on: Queryable): Promise<unknown>;
}

interface Position {
  readonly topic_id: string | null;
  readonly next_offset: number;
}

interface Read<T> {
  readonly record: T;
  readonly offset: number;
}

const POSITION = 'SELECT topic_id, next_offset FROM run_topics WHERE topic = $1';
const MOVE = `
  INSERT INTO run_topics AS t (topic, topic_id, next_offset) VALUES ($1, $2, $3)
  ON CONFLICT (topic) DO UPDATE SET topic_id = $2, next_offset = $3
    WHERE t.topic_id IS NOT DISTINCT FROM $4 AND t.next_offset = $5`;

export class TopicFollower<T> {
  readonly #o: FollowerOptions;
  readonly #topic: FollowedTopic<T>;
  readonly #at: { readonly topic: string; readonly partition: number };
  #reader: LogReader | null = null;
  #topicId: string | null = null;
  /** As it was in Postgres when this follower last read it. */
  #stored: Position | null = null;
  #next = 0;

  constructor(options: FollowerOptions, topic: FollowedTopic<T>) {
    this.#o = options;
    this.#topic = topic;
    this.#at = { topic: topic.name, partition: 0 };
  }

  /** Resolves when Postgres has everything that is in the topic now. Errors: those of the log and the database. */
  async catchUp(): Promise<void> {
    const { lastStable } = await this.#o.log.offsets(this.#at);
    await this.#open();
    while (this.#next < lastStable) await this.step();
  }

  /** Waits for some records and stores them. Errors: those of the log and the database; call `close` after one. */
  async step(): Promise<void> {
    const reader = await this.#open();
    const read: Read<T>[] = [];
    let next = this.#next;
    for (const batch of await reader.poll()) {
      await this.#o.codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
      for (let row = 0; row < batch.count; row++) this.#decode(batch, row, read);
      next = batch.nextOffset;
    }
    if (read.length > 0 && !(await this.#bringIn(read, next))) return await this.close();
    this.#next = next;
  }

  /** A later step opens it again, at the position in Postgres. */
  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  async #open(): Promise<LogReader> {
    if (this.#reader !== null) return this.#reader;
    const { log, database } = this.#o;
    this.#topicId = await log.admin.topicId(this.#topic.name);
    [this.#stored = null] = await database.query<Position>(POSITION, [this.#topic.name]);
    const { earliest, highWatermark } = await log.offsets(this.#at);
    const { topic_id, next_offset } = this.#stored ?? { topic_id: null, next_offset: earliest };
    const isThere = topic_id === this.#topicId && next_offset >= earliest && next_offset <= highWatermark;
    this.#next = isThere ? next_offset : earliest;
    this.#reader = log.reader([{ ...this.#at, offset: this.#next }], { isolation: 'read_committed' });
    return this.#reader;
  }

  #decode(batch: RecordColumns, row: number, read: Read<T>[]): void {
    const start = batch.valueStart[row]!;
    if (start < 0) return;
    const offset = batch.offsets[row]!;
    try {
      const record = this.#o.codec.decode(this.#topic.schema, batch.bytes, start, batch.valueEnd[row]!) as T;
      read.push({ record, offset });
    } catch (error) {
      this.#passOver(offset, error);
    }
  }

  /** False when another follower was faster. */
  async #bringIn(read: readonly Read<T>[], next: number): Promise<boolean> {
    try {
      return await this.#commit(read, next);
    } catch (error) {
      if (!hasCode(error, 'invalid_data')) throw error;
      if (read.length > 1) return await this.#bringInSingly(read);
      this.#passOver(read[0]!.offset, error);
      return true;
    }
  }

  async #bringInSingly(read: readonly Read<T>[]): Promise<boolean> {
    for (const one of read) if (!(await this.#bringIn([one], one.offset + 1))) return false;
    return true;
  }

  async #commit(read: readonly Read<T>[], next: number): Promise<boolean> {
    const moved = { topic_id: this.#topicId, next_offset: next };
    const isMine = await this.#o.database.transaction(async (connection) => {
      const from = [this.#stored?.topic_id ?? null, this.#stored?.next_offset ?? null];
      const to = [this.#topic.name, moved.topic_id, moved.next_offset];
      if ((await connection.execute(MOVE, [...to, ...from])) === 0) return false;
      for (const { record } of read) await this.#topic.take(record, connection);
      return true;
    });
    if (isMine) this.#stored = moved;
    return isMine;
  }

  #passOver(offset: number, error: unknown): void {
    const at = `${this.#topic.name}[0]@${offset}`;
    this.#o.logger.error({ event: 'run_record_unreadable', at, error: messageOf(error) });
  }
}
