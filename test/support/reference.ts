/** A recount of one log with the formulas of the audit: what a test holds every feature against. */
import {
  affinityOf,
  type CountedEvent,
  type InteractionItem,
  itemsOf,
  Judge,
  type PopularitySums,
  popularityOf,
  type RawRecord,
  type ReferenceSettings,
} from '../../publishing/audit/reference.js';
import { INTERACTIONS_MAX } from '../../topics/limits.js';
import { DAY_MS, HOUR_MS } from '../../topics/time.js';

/** The newest state of topic `products`. */
export interface Catalogue {
  readonly categories: ReadonlyMap<string, string>;
  readonly deleted: ReadonlySet<string>;
}

export const EMPTY_CATALOGUE: Catalogue = { categories: new Map(), deleted: new Set() };

/** The product's defaults. */
export const DEFAULT_SETTINGS: ReferenceSettings = {
  popularityHalfLifeMs: 14 * DAY_MS,
  affinityHalfLifeMs: 30 * DAY_MS,
  duplicateHorizonMs: 6 * HOUR_MS,
  partitions: null,
};

/** An accepted event, and whether its user was erased later in the log: then it counts for popularity only. */
interface JudgedEvent extends CountedEvent {
  forgotten: boolean;
}

interface DeadRecord {
  readonly record: RawRecord;
  readonly reason: string;
}

/** What became of every record. */
interface Intake {
  readonly counted: readonly JudgedEvent[];
  readonly late: readonly RawRecord[];
  readonly duplicates: readonly RawRecord[];
  readonly dead: readonly DeadRecord[];
  readonly erasures: readonly RawRecord[];
  /** Largest log time per partition. */
  readonly clocks: ReadonlyMap<number, number>;
}

interface PopularityAnswer extends PopularitySums {
  readonly category: string;
}

interface InteractionsAnswer {
  readonly items: readonly InteractionItem[];
  readonly truncated: number;
}

/** Answers questions about one log and one catalogue, at any time asked for. */
export class Reference {
  readonly intake: Intake;
  readonly #catalogue: Catalogue;
  readonly #settings: ReferenceSettings;
  readonly #byProduct: ReadonlyMap<string, readonly JudgedEvent[]>;
  readonly #byUser: ReadonlyMap<string, readonly JudgedEvent[]>;

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
    const sums = popularityOf(this.#byProduct.get(product) ?? [], asOf, this.#settings.popularityHalfLifeMs);
    return sums && { ...sums, category: this.#categoryOf(product) };
  }

  /** Share per category; null where nothing is in the window. */
  affinity(user: string, asOf: number): Map<string, number> | null {
    const events = this.#byUser.get(user) ?? [];
    return affinityOf(events, asOf, this.#settings.affinityHalfLifeMs, (product) => this.#categoryOf(product));
  }

  /** The heaviest products that were not deleted, heaviest first; null where none is in the window. */
  interactions(user: string, asOf: number): InteractionsAnswer | null {
    const events = this.#byUser.get(user) ?? [];
    return interactionsOf(events, asOf, this.#settings.affinityHalfLifeMs, this.#catalogue.deleted);
  }

  #categoryOf(product: string): string {
    if (this.#catalogue.deleted.has(product)) return 'unknown';
    return this.#catalogue.categories.get(product) ?? 'unknown';
  }
}

/** Judges every record. The order of the argument does not matter. */
export function intake(records: readonly RawRecord[], settings: ReferenceSettings): Intake {
  const judge = new Judge(settings);
  const result = {
    counted: [] as JudgedEvent[],
    late: [] as RawRecord[],
    duplicates: [] as RawRecord[],
    dead: [] as DeadRecord[],
    erasures: [] as RawRecord[],
    clocks: judge.clocks,
  };
  for (const record of [...records].sort((a, b) => a.partition - b.partition || a.offset - b.offset)) {
    const verdict = judge.judge(record);
    if (verdict.kind === 'counted') result.counted.push({ ...verdict.event, forgotten: false });
    else if (verdict.kind === 'dead') result.dead.push({ record, reason: verdict.reason });
    else if (verdict.kind === 'erasure') result.erasures.push(record);
    else if (verdict.kind === 'late') result.late.push(record);
    else result.duplicates.push(record);
  }
  forget(result.counted, result.erasures);
  return result;
}

/** Marks what lies before the last erasure of its user. The offset is the cut, not the time. */
function forget(counted: readonly JudgedEvent[], erasures: readonly RawRecord[]): void {
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

/** Of the events of one user: the heaviest products, heaviest first; null where none is in the window. */
export function interactionsOf(
  events: readonly CountedEvent[],
  asOf: number,
  halfLifeMs: number,
  deleted: ReadonlySet<string>,
): InteractionsAnswer | null {
  const kept = events.filter(({ product }) => !deleted.has(product));
  const items = [...itemsOf(kept, asOf, halfLifeMs).values()];
  if (items.length === 0) return null;
  items.sort((a, b) => b.weight - a.weight || compareBytes(a.product_id, b.product_id));
  return { items: items.slice(0, INTERACTIONS_MAX), truncated: Math.max(0, items.length - INTERACTIONS_MAX) };
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
