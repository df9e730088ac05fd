/**
 * Erasure requests, each one transaction: the request itself and its tombstones. For a user those are null values under
 * user_id in `events` (its offset is the cut) and in `users`; for a product one in `products`, which removes it from
 * every list.
 */
import { randomBytes } from 'node:crypto';
import type { Log, TopicPartition, TransactionalWriter } from '../runtime/log/log.js';
import { FreshetError } from '../runtime/process/errors.js';
import { hasKey } from '../runtime/tasks/scan.js';
import type { Codec } from '../schemas/codec.js';
import type { Erasure } from '../schemas/records.js';
import { erasures } from '../topics/events.js';
import type { FeatureSet } from '../topics/feature-set.js';
import { partitionOf } from '../topics/partition.js';
import { deletedIn, featuresOf, type Subject, subjectKey } from '../topics/subject.js';

/** Topics written by requests of either kind. */
export const ERASER_WRITES: readonly string[] = [erasures.name, ...deletedIn('user'), ...deletedIn('product')];

export class Eraser {
  readonly #log: Log;
  readonly #codec: Codec;
  readonly #sets: readonly FeatureSet[];
  readonly #waitMsMax: number;
  #writer: TransactionalWriter | null = null;
  /** Transactions of one writer are serial. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** `versions`: running versions of the features application. `waitMsMax`: how long `erase` waits for its commit. */
  constructor(log: Log, codec: Codec, sets: readonly FeatureSet[], waitMsMax: number) {
    this.#log = log;
    this.#codec = codec;
    this.#sets = sets;
    this.#waitMsMax = waitMsMax;
  }

  /**
   * Resolves with the subject's key once readers see the request. Throws the log's own errors, and 'timeout'; repeating
   * a request is harmless.
   */
  async erase(subject: Subject, reason: string | null, nowMs: number): Promise<string> {
    if (this.#closed) throw new FreshetError('unavailable', 'the server is stopping');
    const key = subjectKey(subject);
    const turn = this.#last.then(async () => {
      const request: Erasure = { subject: key, requested_at: nowMs, reason, after: await this.#ends(subject) };
      const place = await this.#endOf(erasures.name, key);
      await this.#commit(subject, key, this.#codec.encode('Erasure', request));
      await this.#shown(place, Buffer.from(key));
    });
    this.#last = turn.catch(() => undefined);
    await within(turn, this.#waitMsMax);
    return key;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#drop();
  }

  /**
   * Current end offsets of the subject's partitions. A writer does not learn the offsets of its records, so a later
   * search for the cut starts here; every record acknowledged before the request is below.
   */
  async #ends({ kind, id }: Subject): Promise<Erasure['after']> {
    const topics = [...deletedIn(kind), ...this.#sets.flatMap((set) => featuresOf(kind, set))];
    return await Promise.all(topics.map((topic) => this.#endOf(topic, id)));
  }

  async #endOf(topic: string, key: string): Promise<TopicPartition & { offset: number }> {
    const partition = partitionOf(await this.#log.partitionCount(topic), Buffer.from(key));
    return { topic, partition, offset: (await this.#log.offsets({ topic, partition })).highWatermark };
  }

  /**
   * A commit is acknowledged before its partitions show it: a caller that asked right after it could get the answer that there
   * is no request, or be shown an earlier one.
   */
  async #shown(from: TopicPartition & { offset: number }, key: Buffer): Promise<void> {
    const until = performance.now() + this.#waitMsMax;
    const reader = this.#log.reader([from], { isolation: 'read_committed' });
    try {
      while (!this.#closed && performance.now() < until)
        for (const columns of await reader.poll())
          for (let row = 0; row < columns.count; row++) if (hasKey(columns, row, key)) return;
    } finally {
      await reader.close();
    }
  }

  async #commit(subject: Subject, key: string, value: Buffer): Promise<void> {
    try {
      this.#writer ??= await this.#open();
      this.#writer.add(erasures.name, Buffer.from(key), value);
      for (const topic of deletedIn(subject.kind)) this.#writer.add(topic, Buffer.from(subject.id), null);
      await this.#writer.commit();
    } catch (error) {
      // After an indefinite outcome a writer is dead, after others it may be: the next request opens a new one.
      await this.#drop();
      throw error;
    }
  }

  async #open(): Promise<TransactionalWriter> {
    const id = `freshet-erasures-${randomBytes(12).toString('hex')}`;
    const writer = await this.#log.transactionalWriter(id, ERASER_WRITES);
    try {
      await writer.init();
    } catch (error) {
      await writer.close().catch(() => undefined);
      throw error;
    }
    return writer;
  }

  async #drop(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    await writer?.close().catch(() => undefined);
  }
}

function within<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new FreshetError('timeout', `the log did not commit within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
