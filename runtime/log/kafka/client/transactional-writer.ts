/**
 * The writer whose flush is one transaction. States: new → ready → dead. Every failed commit ends in dead, because only
 * a new writer's init() is certain to end the broken transaction (otherwise a delayed EndTxn could end a later one).
 */
import { type ErrorCode, FreshetError, hasCode, messageOf } from '../../../process/errors.js';
import { type FaultHook, passFaultPoint } from '../../../process/fault-points.js';
import type { AddOptions, TransactionalWriter } from '../../log.js';
import { KafkaError, LinkError, passes } from '../wire/errors.js';
import {
  addPartitionsToTransaction,
  endTransaction,
  initProducerId,
  type ProducerIdentity,
} from '../wire/transaction-messages.js';
import type { Cluster } from './cluster.js';
import { Coordinator } from './coordinator.js';
import { deliver } from './delivery.js';
import { lifetimeWithin } from './lifetime.js';
import type { Links } from './link.js';
import { Outbox, type Parcel } from './outbox.js';
import { closedError, type Patience, persist } from './retry.js';

/** The coordinator aborts a transaction that is open for longer: a vanished owner can block readers this long. */
const TRANSACTION_TIMEOUT_MS = 5_000;
/** Init waits until the previous transaction has ended, in the worst case until a coordinator has moved. */
const INIT_LIMIT_MS = 60_000;
const BEGIN_LIMIT_MS = 30_000;
/** Writing and ending must finish while the coordinator still keeps the transaction open. */
const DELIVERY_LIMIT_MS = 3_500;
const END_LIMIT_MS = 4_500;
/** Where fault tests take hold of a transaction, in the order in which it passes them. */
export type TransactionPoint = 'commit.partitions_added' | 'commit.produced' | 'commit.ended';
const faultPoint: FaultHook<TransactionPoint> = passFaultPoint;
/** Errors of a failed commit, besides fenced, that have a clear outcome; with any other the outcome is unknown. */
const CLEAR_REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'record_too_large',
  'invalid_data',
  'unknown_topic',
  'access',
  'indefinite_commit',
]);

export class KafkaTransactionalWriter implements TransactionalWriter {
  readonly #cluster: Cluster;
  readonly #id: string;
  readonly #closing: AbortController;
  readonly #links: Links;
  readonly #coordinator: Coordinator;
  readonly #outbox: Outbox;
  #identity: ProducerIdentity | null = null;
  /** When the coordinator may have opened the current transaction (performance.now()). */
  #openedAt: number | null = null;
  #dead: FreshetError | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, transactionalId: string, partitionCounts: ReadonlyMap<string, number>) {
    this.#cluster = cluster;
    this.#id = transactionalId;
    this.#closing = lifetimeWithin(cluster.signal);
    this.#links = cluster.links(this.#closing.signal);
    this.#coordinator = new Coordinator(cluster, this.#links, 'transaction', transactionalId);
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

  discard(): void {
    this.#outbox.discard();
  }

  /**
   * When it resolves, no transaction of this id is open any more. Throws 'timeout' when the coordinator needs more than
   * a minute; 'access'; 'state' when closed, or the error that ended this writer.
   */
  init(): Promise<void> {
    return this.#serially(async () => {
      this.#checkAlive();
      const what = `beginning as ${this.#id}`;
      this.#identity = await persist(this.#patience(INIT_LIMIT_MS, what), () =>
        this.#coordinator.ask(initProducerId(this.#id, TRANSACTION_TIMEOUT_MS), ({ error }) => error, what),
      );
      this.#outbox.restartSequences();
    });
  }

  /**
   * Does nothing if no records are buffered. Throws 'fenced'; 'indefinite_commit'; 'record_too_large', 'invalid_data',
   * 'unknown_topic', 'access' when a broker refuses a record (nothing is committed then). After each of these the
   * writer is dead. Throws 'state' before init (the buffer stays) and after close.
   */
  commit(): Promise<void> {
    if (this.#dead === null && this.#identity === null && this.#outbox.records > 0)
      return Promise.reject(new FreshetError('state', `${this.#id}: init() must come before commit()`));
    const parcels = this.#outbox.take();
    if (parcels.length === 0) return Promise.resolve();
    return this.#serially(async () => {
      this.#checkAlive();
      try {
        await this.#commit(parcels);
      } catch (error) {
        this.#dead = error instanceof FreshetError ? error : this.#indefinite(error);
        this.#closing.abort();
        throw this.#dead;
      }
    });
  }

  /** Ends at once: uncommitted records are dropped, and a commit in progress fails. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #commit(parcels: readonly Parcel[]): Promise<void> {
    const identity = this.#identity!;
    this.#openedAt = null;
    try {
      await this.#begin(identity, parcels);
      await faultPoint('commit.partitions_added', this.#id);
      await this.#deliver(identity, parcels);
      await faultPoint('commit.produced', this.#id);
      await this.#end(identity);
      await faultPoint('commit.ended', this.#id);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Nothing is written yet, so this may be repeated after any error. */
  async #begin(identity: ProducerIdentity, parcels: readonly Parcel[]): Promise<void> {
    const what = `beginning a transaction of ${this.#id}`;
    const lanes = parcels.map(({ lane }) => lane);
    await persist(this.#patience(BEGIN_LIMIT_MS, what), async () => {
      const asked = performance.now();
      try {
        await this.#coordinator.ask(addPartitionsToTransaction(this.#id, identity, lanes), same, what);
      } catch (error) {
        if (error instanceof LinkError && error.sent) this.#openedAt ??= asked;
        throw error;
      }
      this.#openedAt ??= asked;
    });
  }

  async #deliver(identity: ProducerIdentity, parcels: readonly Parcel[]): Promise<void> {
    try {
      await deliver(parcels, {
        cluster: this.#cluster,
        links: this.#links,
        outbox: this.#outbox,
        transactionalId: this.#id,
        identity,
        limitMs: DELIVERY_LIMIT_MS,
        answerTimeoutMs: TRANSACTION_TIMEOUT_MS,
        signal: this.#closing.signal,
      });
    } catch (error) {
      // A refusal is final: end the transaction, so that readers need not wait for its timeout.
      if (!this.#closing.signal.aborted && !isFencing(error) && !hasCode(error, 'timeout'))
        await this.#coordinator.ask(endTransaction(this.#id, identity, false), same, 'aborting').catch(() => undefined);
      throw error;
    }
  }

  /** Once a request has been sent, only a clear answer tells the outcome of the transaction. */
  async #end(identity: ProducerIdentity): Promise<void> {
    const what = `committing a transaction of ${this.#id}`;
    let asked = false;
    await persist(this.#patience(END_LIMIT_MS, what), async () => {
      try {
        await this.#coordinator.ask(endTransaction(this.#id, identity, true), same, what);
      } catch (error) {
        if (error instanceof LinkError && !error.sent) throw error;
        // It may still arrive, and must not meet the next transaction of this identity: no second try.
        if (!(error instanceof KafkaError)) throw this.#indefinite(error);
        const first = !asked;
        asked = true;
        const definite = passes(error) || (first && (isFencing(error) || error.code === 'access'));
        throw definite ? error : this.#indefinite(error);
      }
    });
  }

  /** The error of a failed commit, as the caller needs it. */
  #explain(error: unknown): FreshetError {
    if (this.#closing.signal.aborted) return closedError(this.#id);
    // If the transaction was open too long, the coordinator itself ends it and fences its writer.
    const overdue = this.#openedAt !== null && performance.now() - this.#openedAt >= TRANSACTION_TIMEOUT_MS;
    if (isFencing(error) && !overdue) {
      const message = `A newer writer has taken the transactional id ${this.#id} (${messageOf(error)}).`;
      return new FreshetError('fenced', message, { cause: error });
    }
    const clear = error instanceof FreshetError && CLEAR_REFUSALS.has(error.code);
    return clear ? error : this.#indefinite(error);
  }

  #indefinite(cause: unknown): FreshetError {
    return new FreshetError(
      'indefinite_commit',
      `The outcome of a commit of ${this.#id} is unknown (${messageOf(cause)}): open a new writer and read back.`,
      { cause },
    );
  }

  #checkAlive(): void {
    if (this.#dead !== null) throw this.#dead;
    if (this.#closing.signal.aborted) throw closedError(this.#id);
  }

  #patience(limitMs: number, what: string): Patience {
    return { limitMs, what, signal: this.#closing.signal };
  }

  #serially<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

function isFencing(error: unknown): boolean {
  return error instanceof KafkaError && error.kind === 'fenced';
}

function same(answer: number): number {
  return answer;
}
