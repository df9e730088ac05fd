/**
 * Writes a version into the online store under its own names. A dedicated sink fences every batch: opening it later (a
 * second attempt, the removal of a failed version) stops the previous holder at its next batch.
 */
import { FreshetError } from '../../runtime/process/errors.js';
import type { OnlineStore, SinkId, StoreOperation } from '../../runtime/stores/online-store.js';
import type { StorePlace, VersionName } from './place.js';

export function stagingSink({ artefact, version }: VersionName): SinkId {
  return { sink: 'versions', topic: `${artefact}.v${version}`, partition: 0 };
}

export class StagingBatches {
  readonly #store: OnlineStore;
  readonly #id: SinkId;
  readonly #at: number;
  readonly #epoch: number;
  #offset: number;
  #before: Promise<void> = Promise.resolve();
  #last: Promise<void> = Promise.resolve();

  private constructor(store: OnlineStore, id: SinkId, epoch: number, offset: number, at: number) {
    this.#store = store;
    this.#id = id;
    this.#epoch = epoch;
    this.#offset = offset;
    this.#at = at;
  }

  static async open({ store, clock }: StorePlace, version: VersionName): Promise<StagingBatches> {
    const id = stagingSink(version);
    const { epoch, nextOffset } = await store.open(id);
    return new StagingBatches(store, id, epoch, nextOffset, clock.now());
  }

  /**
   * Sends a batch once the last but one is applied: two are in flight, so that the store works while the next one is
   * built. A lost batch causes those after it to be refused, because their offsets no longer match.
   */
  async send(operations: readonly StoreOperation[]): Promise<void> {
    await this.#before;
    const expectedOffset = this.#offset++;
    const batch = { id: this.#id, epoch: this.#epoch, expectedOffset, nextOffset: this.#offset };
    const sent = this.#store.apply({ ...batch, incarnation: '', at: this.#at }, operations).then((result) => {
      if (result !== 'applied')
        throw new FreshetError(
          'unavailable',
          `Staging of ${this.#id.topic} was taken over by another process (${result}).`,
        );
    });
    // Its error is thrown by the next send or by finish.
    sent.catch(() => undefined);
    this.#before = this.#last;
    this.#last = sent;
  }

  /** Resolves once everything is applied. */
  async finish(): Promise<void> {
    await this.#before;
    await this.#last;
  }
}
