/**
 * Requests to forget, each one transaction: the request itself, and what makes the folds forget. For a user that is a
 * null value under user_id in `events` (its offset is the cut); for a product a null value in `products`, which takes
 * it out of every list.
 */
import { randomBytes } from 'node:crypto';
import { FreshetError } from '../../runtime/errors.js';
import type { Log, TransactionalWriter } from '../../runtime/log.js';
import type { Codec } from '../../schemas/codec.js';
import type { Erasure } from '../../schemas/records.js';
import { erasures, events, products } from '../../topics/events.js';

export interface Subject {
  readonly kind: 'user' | 'product';
  readonly id: string;
}

const TOPIC_OF = { user: events.name, product: products.name } as const;
const TOPICS = [erasures.name, events.name, products.name];

export class Eraser {
  readonly #log: Log;
  readonly #codec: Codec;
  readonly #waitMsMax: number;
  #writer: TransactionalWriter | null = null;
  /** Transactions of one writer follow each other. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(log: Log, codec: Codec, waitMsMax: number) {
    this.#log = log;
    this.#codec = codec;
    this.#waitMsMax = waitMsMax;
  }

  /**
   * Resolves with the subject's key once the transaction is committed. Errors: the log's own, and 'timeout'; repeating a
   * request is harmless.
   */
  async erase(subject: Subject, reason: string | null, nowMs: number): Promise<string> {
    if (this.#closed) throw new FreshetError('unavailable', 'the server is stopping');
    const key = `${subject.kind}:${subject.id}`;
    const request: Erasure = { subject: key, requested_at: nowMs, reason };
    const value = this.#codec.encode('Erasure', request);
    const turn = this.#last.then(() => this.#commit(subject, key, value));
    this.#last = turn.catch(() => undefined);
    await within(turn, this.#waitMsMax);
    return key;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#drop();
  }

  async #commit(subject: Subject, key: string, value: Buffer): Promise<void> {
    try {
      this.#writer ??= await this.#open();
      this.#writer.add(erasures.name, Buffer.from(key), value);
      this.#writer.add(TOPIC_OF[subject.kind], Buffer.from(subject.id), null);
      await this.#writer.commit();
    } catch (error) {
      // After an indefinite outcome a writer is dead, after any other error it may be: the next request makes a new one.
      await this.#drop();
      throw error;
    }
  }

  async #open(): Promise<TransactionalWriter> {
    const id = `freshet-erasures-${randomBytes(12).toString('hex')}`;
    const writer = await this.#log.transactionalWriter(id, TOPICS);
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
