/**
 * The writer without transactions: acks=all, and an identity from the broker, so that records sent again after a broken
 * connection are neither duplicated nor reordered.
 */
import type { AddOptions, LogWriter } from '../../log.js';
import { check, KafkaError, OUT_OF_ORDER_SEQUENCE_NUMBER } from '../wire/errors.js';
import { initProducerId, type ProducerIdentity } from '../wire/transaction-messages.js';
import type { Cluster } from './cluster.js';
import { deliver } from './delivery.js';
import { lifetimeWithin } from './lifetime.js';
import type { Links } from './link.js';
import { Outbox, type Parcel } from './outbox.js';
import { closedError, persist } from './retry.js';

const DELIVERY_LIMIT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 10_000;
const IDENTITIES_MAX = 3;

export class KafkaWriter implements LogWriter {
  readonly #cluster: Cluster;
  readonly #closing: AbortController;
  readonly #links: Links;
  readonly #outbox: Outbox;
  #identity: ProducerIdentity | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(cluster: Cluster, partitionCounts: ReadonlyMap<string, number>) {
    this.#cluster = cluster;
    this.#closing = lifetimeWithin(cluster.signal);
    this.#links = cluster.links(this.#closing.signal);
    this.#outbox = new Outbox(partitionCounts);
  }

  get bufferedRecords(): number {
    return this.#outbox.records;
  }

  get bufferedBytes(): number {
    return this.#outbox.bytes;
  }

  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options?: AddOptions): void {
    this.#outbox.add(topic, key, value, options);
  }

  /**
   * Overlapping flushes are serial. Throws 'timeout' when the log did not accept everything within 30 s,
   * 'record_too_large', 'invalid_data', 'unknown_topic', 'access' when the broker refuses a batch; 'state' when closed.
   */
  flush(): Promise<void> {
    const parcels = this.#outbox.take();
    const flushed = this.#last.then(() => this.#deliver(parcels));
    this.#last = flushed.catch(() => undefined);
    return flushed;
  }

  /** Ends at once: records not flushed are dropped, and a flush in progress fails. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #deliver(parcels: readonly Parcel[]): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) throw closedError('writing');
    if (parcels.length === 0) return;
    for (let identities = 1; ; identities++) {
      try {
        this.#identity ??= await this.#introduce();
        return await deliver(parcels, {
          cluster: this.#cluster,
          links: this.#links,
          outbox: this.#outbox,
          transactionalId: null,
          identity: this.#identity,
          limitMs: DELIVERY_LIMIT_MS,
          answerTimeoutMs: ANSWER_TIMEOUT_MS,
          signal,
        });
      } catch (error) {
        // Whatever failed, the brokers may have seen sequence numbers that we will use again.
        this.#identity = null;
        if (!identityIsLost(error) || identities === IDENTITIES_MAX) throw error;
      }
    }
  }

  async #introduce(): Promise<ProducerIdentity> {
    const patience = { limitMs: DELIVERY_LIMIT_MS, signal: this.#closing.signal, what: 'asking for a producer id' };
    const identity = await persist(patience, async () => {
      const answer = await this.#cluster.askAny(initProducerId(null, 0));
      check(answer.error, 'asking for a producer id');
      return answer;
    });
    this.#outbox.restartSequences();
    return identity;
  }
}

/** The broker has lost the identity or its last sequence number, so it has not written the batch. */
function identityIsLost(error: unknown): boolean {
  return error instanceof KafkaError && (error.kind === 'fenced' || error.number === OUT_OF_ORDER_SEQUENCE_NUMBER);
}
