/**
 * The online store port: sorted sets, hashes and strings by key, written in fenced batches. Implementations: Redis
 * (redis.ts), and one in process that is kept on disk (local-store.ts); one conformance suite runs on both. The layout
 * of keys belongs to publishing/, not here.
 */
import type { HeldVersion, PartRead, SwitchResult, VersionedKeys, VersionSwitch } from './versioned-keys.js';

/**
 * One change; a batch applies its operations in order, all or nothing. A key has one kind of value: zadd, zrem, hset,
 * hdel and regroup on a key of another kind refuse the whole batch (invalid_data); set, del, hreplace and hnumbers
 * replace any earlier value. Within a batch, a key changes its kind only by one of these four.
 */
export type StoreOperation =
  | { readonly op: 'zadd'; readonly key: string; readonly member: string; readonly score: number }
  | { readonly op: 'zrem'; readonly key: string; readonly member: string }
  | { readonly op: 'hset'; readonly key: string; readonly field: string; readonly value: string }
  | { readonly op: 'hdel'; readonly key: string; readonly field: string }
  /** Replaces the whole hash by these fields; an empty list deletes it. */
  | { readonly op: 'hreplace'; readonly key: string; readonly fields: readonly (readonly [string, string])[] }
  /** The same with finite numbers as values, one per field, stored as text that parses back to the same number. */
  | {
      readonly op: 'hnumbers';
      readonly key: string;
      readonly fields: readonly string[];
      readonly values: readonly number[];
    }
  | { readonly op: 'set'; readonly key: string; readonly value: string }
  | { readonly op: 'del'; readonly key: string }
  /**
   * Moves a member between sorted sets `${prefix}${group}`: the hash `groups` stores each member's group, so that a
   * changed group leaves no stale entry behind. A null group removes the member from its set and from the hash.
   */
  | {
      readonly op: 'regroup';
      readonly groups: string;
      readonly prefix: string;
      readonly member: string;
      readonly group: string | null;
      readonly score: number;
    };

/** Identifies one stream of batches: a sink of one input partition. */
export interface SinkId {
  /** Application and sink, e.g. `features.v1.redis`. */
  readonly sink: string;
  readonly topic: string;
  readonly partition: number;
}

/** The store's record of a sink. */
export interface SinkPosition {
  readonly epoch: number;
  /** First offset not applied; 0 if nothing was ever applied. */
  readonly nextOffset: number;
  /** Time of the last applied batch, ms; 0 if none. */
  readonly updatedAt: number;
  /** Incarnation of the input topic that the offsets belong to; '' if nothing was applied. */
  readonly incarnation: string;
}

export interface FencedBatch {
  readonly id: SinkId;
  readonly epoch: number;
  /** Must equal the store's nextOffset, or nothing is applied. */
  readonly expectedOffset: number;
  readonly nextOffset: number;
  readonly incarnation: string;
  /** ms. */
  readonly at: number;
}

/** `applied`, or the reason: a newer epoch exists, or the store is at another offset (emptied, old dump restored). */
export type ApplyResult = 'applied' | 'fenced' | 'offset_mismatch';

export interface OnlineStore {
  readonly kind: 'redis' | 'local';
  /** Takes over the sink: epoch + 1, and the end of the last batch. */
  open(id: SinkId): Promise<SinkPosition>;
  /** The current position, without taking over; null if there is none. */
  position(id: SinkId): Promise<SinkPosition | null>;
  /** Sets nextOffset back to 0 under the same epoch, so that the sink can rebuild. Returns false when fenced. */
  rewind(id: SinkId, epoch: number): Promise<boolean>;
  /** Applies the operations and the new offset in one atomic step. */
  apply(batch: FencedBatch, operations: readonly StoreOperation[]): Promise<ApplyResult>;

  /** Reads the pointer and token of an artefact in one step. */
  heldVersion(keys: VersionedKeys): Promise<HeldVersion>;
  /**
   * Makes a staged version current in one atomic step, if the token is newer than the stored one and the checksum key
   * has the expected value: the parts of the former current version are renamed to names with their number, those of
   * the new one to plain names. Any process may call it, at any time and repeatedly.
   */
  switchVersion(keys: VersionedKeys, to: VersionSwitch): Promise<SwitchResult>;
  /** Reads the version's number and one part of it in one step; `version` null: the current one. Needs `keys.plain`. */
  readPart(keys: VersionedKeys, version: number | null, part: string): Promise<PartRead>;
  /**
   * Deletes keys outside of any batch, in slices that delay no other caller, and drops the positions of sinks. For data
   * that no one reads any more.
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
  /** All keys with this prefix, in any order; for rebuilds and tests, not for requests. */
  keys(prefix: string): Promise<string[]>;
  /**
   * The same in pages, so that a million names are never in memory at once; a name may occur twice. Every name that
   * exists from start to end is returned, whatever is discarded between two pages.
   */
  keyPages(prefix: string): AsyncIterable<readonly string[]>;
  ping(): Promise<void>;
  /** Sentences about store settings that endanger its data; empty if there are none. For start and doctor. */
  advice(): Promise<string[]>;
  close(): Promise<void>;
}
