/**
 * The formulas of the features a second time, slow and obvious: every fast implementation is checked against it. It
 * knows no days, buckets or commits; it takes the raw records and adds them up from scratch for every question. On
 * purpose, it shares no code with processors/ except the partitioner.
 */
import type { Event, EventType } from '../../schemas/records.js';
import { ID_BYTES_MAX } from '../../topics/ids.js';
import { CATEGORIES_MAX, EVENT_AHEAD_MS_MAX, WINDOW_DAYS } from '../../topics/limits.js';
import { partitionOf } from '../../topics/partition.js';
import { DAY_MS } from '../../topics/time.js';

/** One record of topic `events` as it is in the log; a null value asks to erase the user in `key`. */
export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970 UTC. */
  readonly logTime: number;
  readonly key: string | null;
  readonly value: Event | null;
}

export interface ReferenceSettings {
  readonly popularityHalfLifeMs: number;
  /** Also the half-life of interactions. */
  readonly affinityHalfLifeMs: number;
  readonly duplicateHorizonMs: number;
  /** Number of partitions of `events`; null skips the check that a record is where its key belongs. */
  readonly partitions: number | null;
}

const WEIGHT: ReadonlyMap<string, number> = new Map([
  ['view', 1],
  ['add_to_cart', 2],
  ['purchase', 3],
]);

/** An accepted event that is not a duplicate. */
export interface CountedEvent {
  readonly partition: number;
  readonly offset: number;
  readonly user: string;
  readonly product: string;
  readonly category: string | null;
  readonly type: EventType;
  /** ms; for an event up to five minutes ahead of its log time, the log time. */
  readonly ts: number;
}

type DeadReason = 'malformed' | 'wrong_partition' | 'future';

/** What popularity needs of an event. */
type PopularityInput = Pick<CountedEvent, 'ts' | 'type'>;
/** What affinity needs of an event. */
type AffinityInput = Pick<CountedEvent, 'ts' | 'type' | 'category' | 'product'>;

export interface PopularitySums {
  readonly score: number;
  readonly views: number;
  readonly add_to_carts: number;
  readonly purchases: number;
}

/** What interactions need of an event. */
type InteractionsInput = Pick<CountedEvent, 'ts' | 'type' | 'product'>;

export interface InteractionItem {
  readonly product_id: string;
  readonly weight: number;
  readonly count: number;
  readonly last_ts: number;
  readonly purchases: number;
}

/** The UTC day of a time, as days since 1970. */
export function utcDay(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** The outcome of one record. */
type Verdict =
  | { readonly kind: 'counted'; readonly event: CountedEvent }
  | { readonly kind: 'dead'; readonly reason: DeadReason }
  | { readonly kind: 'erasure' | 'late' | 'duplicate' };

/** Judges records one at a time, each partition in its order. */
export class Judge {
  /** Largest log time per partition. */
  readonly clocks = new Map<number, number>();
  readonly #settings: ReferenceSettings;
  /** Per partition, the clock of each identity's newest record, oldest first. */
  readonly #seen = new Map<number, Map<string, number>>();

  constructor(settings: ReferenceSettings) {
    this.#settings = settings;
  }

  judge(record: RawRecord): Verdict {
    const { partition, offset, logTime, key, value } = record;
    const clock = this.passed(partition, logTime);
    const reason = whyDead(record, this.#settings);
    if (reason !== null) return { kind: 'dead', reason };
    if (value === null) return { kind: 'erasure' };
    if (utcDay(value.ts) < utcDay(logTime) - (WINDOW_DAYS - 1)) return { kind: 'late' };
    if (this.#isDuplicate(partition, identityOf(value), clock)) return { kind: 'duplicate' };
    const event: CountedEvent = {
      partition,
      offset,
      user: key as string,
      product: value.product_id,
      category: value.category,
      type: value.event_type,
      ts: Math.min(value.ts, logTime),
    };
    return { kind: 'counted', event };
  }

  /** Passes over a record that is not judged: it moves the partition's clock, which is returned. */
  passed(partition: number, logTime: number): number {
    const clock = Math.max(this.clocks.get(partition) ?? Number.NEGATIVE_INFINITY, logTime);
    this.clocks.set(partition, clock);
    return clock;
  }

  /** The clock never goes back, so the newest record with an id decides. A duplicate renews the id, counted or not. */
  #isDuplicate(partition: number, identity: string, clock: number): boolean {
    const seen = this.#seen.get(partition) ?? new Map<string, number>();
    this.#seen.set(partition, seen);
    const before = seen.get(identity);
    seen.delete(identity);
    seen.set(identity, clock);
    // Entries are ordered by clock, so the first one still needed ends the cleanup.
    for (const [old, at] of seen) {
      if (clock - at <= this.#settings.duplicateHorizonMs) break;
      seen.delete(old);
    }
    return before !== undefined && clock - before <= this.#settings.duplicateHorizonMs;
  }
}

/** Names an event within its partition. */
export function identityOf({ user_id, event_id }: Pick<Event, 'user_id' | 'event_id'>): string {
  return JSON.stringify([user_id, event_id]);
}

function whyDead({ partition, key, value, logTime }: RawRecord, settings: ReferenceSettings): DeadReason | null {
  if (key === null || !isId(key)) return 'malformed';
  if (settings.partitions !== null && partitionOf(settings.partitions, Buffer.from(key)) !== partition)
    return 'wrong_partition';
  if (value === null) return null;
  if (value.user_id !== key || !isId(value.event_id) || !isId(value.product_id)) return 'malformed';
  if (value.category !== null && !isId(value.category)) return 'malformed';
  if (!WEIGHT.has(value.event_type)) return 'malformed';
  if (value.ts > logTime + EVENT_AHEAD_MS_MAX) return 'future';
  return null;
}

function isId(text: string): boolean {
  const bytes = Buffer.byteLength(text);
  return bytes > 0 && bytes <= ID_BYTES_MAX && !text.includes('\0');
}

/** For the events of one product; null if none is in the window. */
export function popularityOf(
  events: readonly PopularityInput[],
  asOf: number,
  halfLifeMs: number,
): PopularitySums | null {
  const counted = inWindow(events, asOf);
  if (counted.length === 0) return null;
  const ofType = (type: EventType) => counted.filter((event) => event.type === type).length;
  return {
    score: decayedSum(counted, asOf, halfLifeMs),
    views: ofType('view'),
    add_to_carts: ofType('add_to_cart'),
    purchases: ofType('purchase'),
  };
}

/** For the events of one user: share per category; null if none is in the window. */
export function affinityOf(
  events: readonly AffinityInput[],
  asOf: number,
  halfLifeMs: number,
  categoryOf: (product: string) => string,
): Map<string, number> | null {
  const counted = inWindow(events, asOf);
  if (counted.length === 0) return null;
  // Shares do not depend on their reference time; taking the newest event's keeps short half-lives from underflowing.
  const newest = counted.reduce((latest, event) => Math.max(latest, event.ts), Number.NEGATIVE_INFINITY);
  const total = decayedSum(counted, newest, halfLifeMs);
  const byCategory = groupBy(counted, (event) => event.category ?? categoryOf(event.product));
  const shares = [...byCategory].map(
    ([category, part]) => [category, decayedSum(part, newest, halfLifeMs) / total] as const,
  );
  shares.sort(([a, shareOfA], [b, shareOfB]) => shareOfB - shareOfA || compareBytes(a, b));
  const result = new Map(shares.slice(0, CATEGORIES_MAX));
  for (const [, share] of shares.slice(CATEGORIES_MAX)) result.set('other', (result.get('other') ?? 0) + share);
  return result;
}

/** What interactions are chosen from: every product with an event in the window, in no order. */
export function itemsOf(
  events: readonly InteractionsInput[],
  asOf: number,
  halfLifeMs: number,
): Map<string, InteractionItem> {
  const byProduct = groupBy(inWindow(events, asOf), (event) => event.product);
  const items = [...byProduct].map(([product_id, part]) => ({
    product_id,
    weight: decayedSum(part, asOf, halfLifeMs),
    count: part.length,
    last_ts: part.reduce((latest, event) => Math.max(latest, event.ts), Number.NEGATIVE_INFINITY),
    purchases: part.filter(({ type }) => type === 'purchase').length,
  }));
  return new Map(items.map((item) => [item.product_id, item]));
}

/** Events in the 90 UTC days that end with the day of `asOf`. */
export function inWindow<E extends { readonly ts: number }>(events: readonly E[], asOf: number): E[] {
  const last = utcDay(asOf);
  return events.filter(({ ts }) => utcDay(ts) <= last && utcDay(ts) > last - WINDOW_DAYS);
}

function decayedSum(events: readonly PopularityInput[], asOf: number, halfLifeMs: number): number {
  let sum = 0;
  for (const event of events) sum += WEIGHT.get(event.type)! * 2 ** (-(asOf - event.ts) / halfLifeMs);
  return sum;
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** |a − b| relative to the larger; 0 if both are 0, Infinity if either is not a finite number. */
export function relativeError(a: number, b: number): number {
  if (a === b) return 0;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
  return Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
}
