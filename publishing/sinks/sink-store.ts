/**
 * Where one sink's batches go: the same fence in both stores. A batch is applied only by the holder of the newest epoch
 * and only at the offset where the last one ended, together with its rows, so no batch is applied twice or lost.
 */
import type { ApplyResult, FencedBatch, OnlineStore, SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import type { OnlineSink } from './declaration.js';
import type { Change } from './keyed-topic.js';

export interface SinkStore {
  /** Takes over: increments the epoch and returns where the last batch ended. */
  open(id: SinkId): Promise<SinkPosition>;
  /** The store's current position; null if it has none. */
  position(id: SinkId): Promise<SinkPosition | null>;
  /** Sets the offset back to 0 under the same epoch; false when fenced. */
  rewind(id: SinkId, epoch: number): Promise<boolean>;
  /** Changes (at most one per key) and the new offset in one atomic step. */
  apply(batch: FencedBatch, changes: readonly Change[]): Promise<ApplyResult>;
  /** Keys of all existing rows, from every partition. */
  keys(): Promise<Iterable<string>>;
}

/** A sink in the online store. */
export function onlineSinkStore<Value>(store: OnlineStore, sink: OnlineSink<Value>): SinkStore {
  return {
    open: (id) => store.open(id),
    position: (id) => store.position(id),
    rewind: (id, epoch) => store.rewind(id, epoch),
    apply: (batch, changes) =>
      store.apply(
        batch,
        changes.flatMap(({ key, value }) => sink.operations(key, value as Value | null)),
      ),
    keys: () => sink.keys(store),
  };
}
