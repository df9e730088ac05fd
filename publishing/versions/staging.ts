/**
 * Writing a version into the online store under its own names. A sink of its own fences every batch: whoever opens it
 * later (a second attempt, the removal of what failed) stops the one before at its next batch.
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
   * Sends a batch when the one before the last is applied: two are on their way, so that the store works while the next
   * one is made. One that was lost refuses those behind it, whose offsets then do not fit.
   */
  async send(operations: readonly StoreOperation[]): Promise<void> {
    await this.#before;
    const expectedOffset = this.#offset++;
    const batch = { id: this.#id, epoch: this.#epoch, expectedOffset, nextOffset: this.#offset };
    const sent = this.#store.apply({ ...batch, incarnation: '', at: this.#at }, operations).then((result) => {
      if (result !== 'applied')
        throw new FreshetError(
          'unavailable',
          `Staging of ${this.#id.topic} was taken over by somebody else (${result}).`,
        );
    });
    // Its error is told by the next send or by finish.
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
