/**
 * The online store port: sorted sets, hashes and strings under keys, written in fenced batches. Implementations: Redis
 * (redis.ts) and an in-process one kept on disk (local-store.ts); one conformance suite runs on both. The layout of
 * keys belongs to publishing/, not here.
 */
import type { HeldVersion, PartRead, SwitchResult, VersionedKeys, VersionSwitch } from './versioned-keys.js';

/**
 * One change; a batch applies its operations in order, all or nothing. A key holds one kind of value: zadd, zrem, hset,
 * hdel and regroup on a key of another kind refuse the whole batch (invalid_data); set, del, hreplace and hnumbers
 * replace whatever was there. Within a batch, a key changes its kind only after one of those four.
 */
export type StoreOperation =
  | { readonly op: 'zadd'; readonly key: string; readonly member: string; readonly score: number }
  | { readonly op: 'zrem'; readonly key: string; readonly member: string }
  | { readonly op: 'hset'; readonly key: string; readonly field: string; readonly value: string }
  | { readonly op: 'hdel'; readonly key: string; readonly field: string }
  /** Replaces the whole hash by these fields; an empty list deletes it. */
  | { readonly op: 'hreplace'; readonly key: string; readonly fields: readonly (readonly [string, string])[] }
  /** The same with numbers as values, finite, one per field: they are kept as text that reads back as the same number. */
  | {
      readonly op: 'hnumbers';
      readonly key: string;
      readonly fields: readonly string[];
      readonly values: readonly number[];
    }
  | { readonly op: 'set'; readonly key: string; readonly value: string }
  | { readonly op: 'del'; readonly key: string }
  /**
   * Moves a member between sorted sets `${prefix}${group}`: the hash `groups` remembers each member's group, so a
   * changed group leaves no ghost behind. A null group takes the member out of its set and out of the hash.
   */
  | {
      readonly op: 'regroup';
      readonly groups: string;
      readonly prefix: string;
      readonly member: string;
      readonly group: string | null;
      readonly score: number;
    };

/** Names one stream of batches: a sink of one input partition. */
export interface SinkId {
  /** Application and sink, e.g. `features.v1.redis`. */
  readonly sink: string;
  readonly topic: string;
  readonly partition: number;
}

/** What the store holds for a sink. */
export interface SinkPosition {
  readonly epoch: number;
  /** First offset not applied; 0 when nothing was ever applied. */
  readonly nextOffset: number;
  /** Time of the last applied batch, ms; 0 if none. */
  readonly updatedAt: number;
  /** Which life of the input topic the offsets belong to; '' if nothing was applied. */
  readonly incarnation: string;
}

export interface FencedBatch {
  readonly id: SinkId;
  readonly epoch: number;
  /** Must equal the store's nextOffset, else nothing is applied. */
  readonly expectedOffset: number;
  readonly nextOffset: number;
  readonly incarnation: string;
  /** ms. */
  readonly at: number;
}

/** `applied`, or why not: a newer epoch exists, or the store is at another offset (emptied, restored from a dump). */
export type ApplyResult = 'applied' | 'fenced' | 'offset_mismatch';

export interface OnlineStore {
  readonly kind: 'redis' | 'local';
  /** Takes the sink over: epoch + 1, and where the last batch ended. */
  open(id: SinkId): Promise<SinkPosition>;
  /** What the store holds now, without taking over; null where nothing is. */
  position(id: SinkId): Promise<SinkPosition | null>;
  /** Sets nextOffset back to 0 under the same epoch, so that the sink can rebuild. Returns false when fenced. */
  rewind(id: SinkId, epoch: number): Promise<boolean>;
  /** Operations and the new offset in one atomic step. */
  apply(batch: FencedBatch, operations: readonly StoreOperation[]): Promise<ApplyResult>;

  /** Pointer and token of an artefact in one step. */
  heldVersion(keys: VersionedKeys): Promise<HeldVersion>;
  /**
   * Makes a staged version current in one atomic step, if the token is newer than the held one and the checksum key
   * holds what it should: the former current version's parts get names with their number, the new one's plain names.
   * May be run by anybody and again at any time.
   */
  switchVersion(keys: VersionedKeys, to: VersionSwitch): Promise<SwitchResult>;
  /** Which version it is and one part of it, in one step; `version` null: the current one. `keys.plain` must be there. */
  readPart(keys: VersionedKeys, version: number | null, part: string): Promise<PartRead>;
  /**
   * Deletes keys outside of any batch, in slices that hold nobody up, and forgets the position of sinks. For what nobody
   * reads any more.
   */
  discard(keys: readonly string[], sinks?: readonly SinkId[]): Promise<void>;

  get(key: string): Promise<string | null>;
  hget(key: string, field: string): Promise<string | null>;
  /** Values in the order of the fields; null where absent. */
  hmget(key: string, fields: readonly string[]): Promise<(string | null)[]>;
  hgetall(key: string): Promise<Map<string, string>>;
  zscore(key: string, member: string): Promise<number | null>;
  /** The best `limit` members, highest score first, ties by member descending. */
  ztop(key: string, limit: number): Promise<{ member: string; score: number }[]>;
  zcard(key: string): Promise<number>;
  /** All keys with this prefix, in no order; for rebuilds and tests, not for requests. */
  keys(prefix: string): Promise<string[]>;
  /**
   * The same in pages, so that a million names are never held at once; a name may come twice. Names that are there from
   * the beginning to the end are all met, whatever is discarded between two pages.
   */
  keyPages(prefix: string): AsyncIterable<readonly string[]>;
  ping(): Promise<void>;
  /** Sentences about settings of the store that endanger what it holds; empty when all is well. For start and doctor. */
  advice(): Promise<string[]>;
  close(): Promise<void>;
}
