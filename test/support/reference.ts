/**
 * The formulas of the features once more, slow and obvious: what every fast implementation is held against. It knows no
 * days, buckets or commits; it keeps the raw records and adds them up anew for every question. It shares no code with
 * processors/ on purpose, the partitioner aside.
 */
import type { Event, EventType } from '../../schemas/records.js';
import { partitionOf } from '../../topics/partition.js';

/** One record of topic `events` as it stands in the log; a null value asks to forget the user in `key`. */
export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970 UTC. */
  readonly logTime: number;
  readonly key: string | null;
  readonly value: Event | null;
}

/** The newest state of topic `products`. */
export interface Catalogue {
  readonly categories: ReadonlyMap<string, string>;
  readonly deleted: ReadonlySet<string>;
}

export const EMPTY_CATALOGUE: Catalogue = { categories: new Map(), deleted: new Set() };

export interface ReferenceSettings {
  readonly popularityHalfLifeMs: number;
  /** Also that of interactions. */
  readonly affinityHalfLifeMs: number;
  readonly duplicateHorizonMs: number;
  /** Partitions of `events`; null skips the check that a record lies where its key belongs. */
  readonly partitions: number | null;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The product's defaults. */
export const DEFAULT_SETTINGS: ReferenceSettings = {
  popularityHalfLifeMs: 14 * DAY_MS,
  affinityHalfLifeMs: 30 * DAY_MS,
  duplicateHorizonMs: 6 * HOUR_MS,
  partitions: null,
};

const WEIGHT: Readonly<Record<EventType, number>> = { view: 1, add_to_cart: 2, purchase: 3 };
const WINDOW_DAYS = 90;
const AHEAD_MS_MAX = 5 * 60_000;
const ID_BYTES_MAX = 256;
const CATEGORIES_MAX = 256;
const INTERACTIONS_MAX = 1000;

/** An accepted event that is no duplicate. */
export interface CountedEvent {
  readonly partition: number;
  readonly offset: number;
  readonly user: string;
  readonly product: string;
  readonly category: string | null;
  readonly type: EventType;
  /** ms; an event from at most five minutes ahead has its log time here. */
  readonly ts: number;
  /** The user was erased later in the log: counts for popularity only. */
  forgotten: boolean;
}

export interface DeadRecord {
  readonly record: RawRecord;
  readonly reason: 'malformed' | 'wrong_partition' | 'future';
}

/** What became of every record. */
export interface Intake {
  readonly counted: readonly CountedEvent[];
  readonly late: readonly RawRecord[];
  readonly duplicates: readonly RawRecord[];
  readonly dead: readonly DeadRecord[];
  readonly erasures: readonly RawRecord[];
  /** Largest log time per partition. */
  readonly clocks: ReadonlyMap<number, number>;
}

export interface PopularityAnswer {
  readonly score: number;
  readonly views: number;
  readonly add_to_carts: number;
  readonly purchases: number;
  readonly category: string;
}

export interface InteractionsAnswer {
  readonly items: readonly { product_id: string; weight: number; count: number; last_ts: number }[];
  readonly truncated: number;
}

/** The UTC day of a time, as days since 1970. */
export function utcDay(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** Judges every record in log order, partition by partition. The order of the argument does not matter. */
export function intake(records: readonly RawRecord[], settings: ReferenceSettings): Intake {
  const result = {
    counted: [] as CountedEvent[],
    late: [] as RawRecord[],
    duplicates: [] as RawRecord[],
    dead: [] as DeadRecord[],
    erasures: [] as RawRecord[],
    clocks: new Map<number, number>(),
  };
  const seen = new Map<string, number>();
  for (const record of [...records].sort((a, b) => a.partition - b.partition || a.offset - b.offset)) {
    const { partition, offset, logTime, key, value } = record;
    const clock = Math.max(result.clocks.get(partition) ?? Number.NEGATIVE_INFINITY, logTime);
    result.clocks.set(partition, clock);

    const reason = whyDead(record, settings);
    if (reason !== null) {
      result.dead.push({ record, reason });
      continue;
    }
    if (value === null) {
      result.erasures.push(record);
      continue;
    }
    if (utcDay(value.ts) < utcDay(logTime) - (WINDOW_DAYS - 1)) {
      result.late.push(record);
      continue;
    }
    // The clock never falls, so the newest bearer of an id decides. A duplicate bears it on, counted or not.
    const identity = JSON.stringify([partition, value.user_id, value.event_id]);
    const before = seen.get(identity);
    seen.set(identity, clock);
    if (before !== undefined && clock - before <= settings.duplicateHorizonMs) {
      result.duplicates.push(record);
      continue;
    }
    result.counted.push({
      partition,
      offset,
      user: key as string,
      product: value.product_id,
      category: value.category,
      type: value.event_type,
      ts: Math.min(value.ts, logTime),
      forgotten: false,
    });
  }
  forget(result.counted, result.erasures);
  return result;
}

/** Marks what lies before the last erasure of its user. The offset is the cut, not the time. */
function forget(counted: readonly CountedEvent[], erasures: readonly RawRecord[]): void {
  const cuts = new Map<string, number>();
  for (const { partition, offset, key } of erasures) {
    const user = JSON.stringify([partition, key]);
    cuts.set(user, Math.max(cuts.get(user) ?? -1, offset));
  }
  if (cuts.size === 0) return;
  for (const event of counted) {
    const cut = cuts.get(JSON.stringify([event.partition, event.user]));
    if (cut !== undefined && event.offset < cut) event.forgotten = true;
  }
}

function whyDead(
  { partition, key, value, logTime }: RawRecord,
  settings: ReferenceSettings,
): DeadRecord['reason'] | null {
  if (key === null || !isId(key)) return 'malformed';
  if (settings.partitions !== null && partitionOf(settings.partitions, Buffer.from(key)) !== partition)
    return 'wrong_partition';
  if (value === null) return null;
  if (value.user_id !== key || !isId(value.event_id) || !isId(value.product_id)) return 'malformed';
  if (value.category !== null && !isId(value.category)) return 'malformed';
  if (WEIGHT[value.event_type] === undefined) return 'malformed';
  if (value.ts > logTime + AHEAD_MS_MAX) return 'future';
  return null;
}

function isId(text: string): boolean {
  const bytes = Buffer.byteLength(text);
  return bytes > 0 && bytes <= ID_BYTES_MAX;
}

/** Answers questions about one log and one catalogue, at any time asked for. */
export class Reference {
  readonly intake: Intake;
  readonly #catalogue: Catalogue;
  readonly #settings: ReferenceSettings;
  readonly #byProduct: ReadonlyMap<string, readonly CountedEvent[]>;
  readonly #byUser: ReadonlyMap<string, readonly CountedEvent[]>;

  constructor(
    records: readonly RawRecord[],
    catalogue: Catalogue = EMPTY_CATALOGUE,
    settings: ReferenceSettings = DEFAULT_SETTINGS,
  ) {
    this.intake = intake(records, settings);
    this.#catalogue = catalogue;
    this.#settings = settings;
    this.#byProduct = groupBy(this.intake.counted, (event) => event.product);
    this.#byUser = groupBy(
      this.intake.counted.filter((event) => !event.forgotten),
      (event) => event.user,
    );
  }

  /** Products with a counted event, whether or not one is still in a window. */
  get products(): string[] {
    return [...this.#byProduct.keys()];
  }

  /** Users with a counted event that no erasure took away. */
  get users(): string[] {
    return [...this.#byUser.keys()];
  }

  /** Null where nothing is in the window of `asOf` or the product was deleted. */
  popularity(product: string, asOf: number): PopularityAnswer | null {
    if (this.#catalogue.deleted.has(product)) return null;
    const events = inWindow(this.#byProduct.get(product) ?? [], asOf);
    if (events.length === 0) return null;
    const ofType = (type: EventType) => events.filter((event) => event.type === type).length;
    return {
      score: decayedSum(events, asOf, this.#settings.popularityHalfLifeMs),
      views: ofType('view'),
      add_to_carts: ofType('add_to_cart'),
      purchases: ofType('purchase'),
      category: this.#categoryOf(product),
    };
  }

  /** Share per category; null where nothing is in the window. */
  affinity(user: string, asOf: number): Map<string, number> | null {
    const events = inWindow(this.#byUser.get(user) ?? [], asOf);
    if (events.length === 0) return null;
    const halfLife = this.#settings.affinityHalfLifeMs;
    // Shares do not depend on the time they are taken relative to; the newest event's keeps short half-lives from underflow.
    const newest = events.reduce((latest, event) => Math.max(latest, event.ts), Number.NEGATIVE_INFINITY);
    const total = decayedSum(events, newest, halfLife);
    const byCategory = groupBy(events, (event) => event.category ?? this.#categoryOf(event.product));
    const shares = [...byCategory].map(
      ([category, part]) => [category, decayedSum(part, newest, halfLife) / total] as const,
    );
    shares.sort(([a, shareOfA], [b, shareOfB]) => shareOfB - shareOfA || compareBytes(a, b));
    const result = new Map(shares.slice(0, CATEGORIES_MAX));
    for (const [, share] of shares.slice(CATEGORIES_MAX)) result.set('other', (result.get('other') ?? 0) + share);
    return result;
  }

  /** The heaviest products that were not deleted, heaviest first; null where none is in the window. */
  interactions(user: string, asOf: number): InteractionsAnswer | null {
    const events = inWindow(this.#byUser.get(user) ?? [], asOf).filter(
      ({ product }) => !this.#catalogue.deleted.has(product),
    );
    if (events.length === 0) return null;
    const items = [...groupBy(events, (event) => event.product)].map(([product_id, part]) => ({
      product_id,
      weight: decayedSum(part, asOf, this.#settings.affinityHalfLifeMs),
      count: part.length,
      last_ts: part.reduce((latest, event) => Math.max(latest, event.ts), Number.NEGATIVE_INFINITY),
    }));
    items.sort((a, b) => b.weight - a.weight || compareBytes(a.product_id, b.product_id));
    return { items: items.slice(0, INTERACTIONS_MAX), truncated: Math.max(0, items.length - INTERACTIONS_MAX) };
  }

  #categoryOf(product: string): string {
    if (this.#catalogue.deleted.has(product)) return 'unknown';
    return this.#catalogue.categories.get(product) ?? 'unknown';
  }
}

/** Events in the 90 UTC days that end with the day of `asOf`. */
function inWindow(events: readonly CountedEvent[], asOf: number): CountedEvent[] {
  const last = utcDay(asOf);
  return events.filter(({ ts }) => utcDay(ts) <= last && utcDay(ts) > last - WINDOW_DAYS);
}

function decayedSum(events: readonly CountedEvent[], asOf: number, halfLifeMs: number): number {
  let sum = 0;
  for (const event of events) sum += WEIGHT[event.type] * 2 ** (-(asOf - event.ts) / halfLifeMs);
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

/** |a − b| relative to the larger; 0 where both are 0, Infinity where one is no finite number. */
export function relativeError(a: number, b: number): number {
  if (a === b) return 0;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
  return Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
}
