/** What both stores serve for the given keys, read row by row as readers would. */
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import type { FeatureSet, FeatureTables } from '../../topics/feature-set.js';
import { decodeId, Layout, type LiveKeys } from '../layout.js';
import { type StoredInteractions, storedInteractions } from '../sinks/interactions-row.js';

/** A row of Postgres; times in ms, here and below. */
export interface PopularityRow {
  readonly asOf: number;
  readonly score: number;
  readonly views: number;
  readonly add_to_carts: number;
  readonly purchases: number;
  readonly category: string;
}

/** All that the online store holds for a product; null if nothing. */
export interface PopularityRank {
  /** Score in the ranking of all products. */
  readonly rank: number | null;
  /** UTC day of the row, days since 1970. */
  readonly day: number | null;
  readonly category: string | null;
  /** Score in the ranking of that category. */
  readonly categoryRank: number | null;
  /** Other categories whose rankings contain it. */
  readonly elsewhere: readonly string[];
}

export interface AffinityShares {
  readonly asOf: number;
  readonly scores: ReadonlyMap<string, number>;
}

/** Keys found by searching the stores. */
export interface Listing {
  /** Product → categories in whose rankings it was found. */
  readonly products: ReadonlyMap<string, ReadonlySet<string>>;
  readonly users: ReadonlySet<string>;
}

export interface Served {
  popularityRows(ids: readonly string[]): Promise<ReadonlyMap<string, PopularityRow>>;
  /** `seenIn`: categories where a listing has found the product. */
  popularityRanks(
    ids: readonly string[],
    seenIn: Listing['products'],
  ): Promise<ReadonlyMap<string, PopularityRank | 'changing'>>;
  affinityRows(ids: readonly string[]): Promise<ReadonlyMap<string, AffinityShares>>;
  affinityHashes(ids: readonly string[]): Promise<ReadonlyMap<string, AffinityShares | 'changing' | 'ragged'>>;
  /** From the online store; `unreadable`: nothing that a reader could read. */
  interactions(ids: readonly string[]): Promise<ReadonlyMap<string, StoredInteractions | 'unreadable'>>;
  /** Keys of the sample that the stores hold, as far as `depth` goes. */
  list(holds: { user(id: string): boolean; product(id: string): boolean }, depth: Depth): Promise<Listing>;
}

/**
 * `all`: every key of both stores. `some`: what the rankings show to readers, and the next few thousand rows of each
 * table, continuing with every call: listing everything every five minutes would be a noticeable load.
 */
export type Depth = 'all' | 'some';

/** The most members of a ranking that any reader gets. */
const RANKS_SHOWN = 1_000;
/** A ranking is read in one command that blocks everyone else: above this many members, only the best are listed. */
const RANKS_LISTED_MAX = 200_000;
const CATEGORIES_SOME = 100;
const PAGE_ROWS = 5_000;
/** A row that changes while it is being read is read again. */
const READ_TRIES = 3;

interface ServedOptions {
  readonly store: OnlineStore;
  readonly database: Database;
  /** The setting REDIS_KEY_PREFIX. */
  readonly keyPrefix: string;
  readonly set: FeatureSet;
}

/** The largest time that a Date can hold, ms. */
const TIME_MAX = 8.64e15;

export class StoredFeatures implements Served {
  readonly #store: OnlineStore;
  readonly #database: Database;
  readonly #tables: FeatureTables;
  readonly #keys: LiveKeys;
  /** Where the next partial listing of a table continues. */
  readonly #listedTo = new Map<string, string>();

  constructor({ store, database, keyPrefix, set }: ServedOptions) {
    this.#store = store;
    this.#database = database;
    this.#tables = set.tables;
    this.#keys = new Layout(keyPrefix).features(set);
  }

  async popularityRows(ids: readonly string[]): Promise<Map<string, PopularityRow>> {
    const rows = await this.#database.query<Omit<PopularityRow, 'asOf'> & { product_id: string; as_of: Date }>(
      `SELECT product_id, category, score, as_of, views, add_to_carts, purchases
       FROM ${this.#tables.popularity} WHERE product_id = ANY($1::text[])`,
      [ids],
    );
    return new Map(rows.map(({ product_id, as_of, ...row }) => [product_id, { ...row, asOf: as_of.getTime() }]));
  }

  async affinityRows(ids: readonly string[]): Promise<Map<string, AffinityShares>> {
    const rows = await this.#database.query<{ user_id: string; as_of: Date; scores: Record<string, number> }>(
      `SELECT user_id, as_of, scores FROM ${this.#tables.affinity} WHERE user_id = ANY($1::text[])`,
      [ids],
    );
    return new Map(
      rows.map(({ user_id, as_of, scores }) => [
        user_id,
        { asOf: as_of.getTime(), scores: new Map(Object.entries(scores)) },
      ]),
    );
  }

  async popularityRanks(
    ids: readonly string[],
    seenIn: Listing['products'],
  ): Promise<Map<string, PopularityRank | 'changing'>> {
    const store = this.#store;
    const keys = this.#keys;
    const found = new Map<string, PopularityRank | 'changing'>();
    let open = ids;
    for (let tries = 0; tries < READ_TRIES && open.length > 0; tries++) {
      const all = (key: string) => Promise.all(open.map((id) => store.zscore(key, id)));
      const ranks = await all(keys.popularityAll);
      const groups = await store.hmget(keys.popularityGroups, open);
      const days = await store.hmget(keys.popularityDay, open);
      const rows = await Promise.all(
        open.map(async (id, i) => {
          const category = groups[i] === null ? null : decodeId(groups[i]!);
          const others = [...(seenIn.get(id) ?? [])].filter((one) => one !== category);
          const [categoryRank, ...elsewhere] = await Promise.all(
            [category, ...others].map((one) => this.#categoryRank(one, id)),
          );
          return { category, categoryRank: categoryRank!, elsewhere: others.filter((_, k) => elsewhere[k] !== null) };
        }),
      );
      const ranksAgain = await all(keys.popularityAll);
      const again: string[] = [];
      for (const [i, id] of open.entries()) {
        const day = days[i] === null ? null : Number(days[i]);
        if (ranks[i] === ranksAgain[i]) found.set(id, { rank: ranks[i]!, day, ...rows[i]! });
        else {
          found.set(id, 'changing');
          again.push(id);
        }
      }
      open = again;
    }
    return found;
  }

  async affinityHashes(ids: readonly string[]): Promise<Map<string, AffinityShares | 'changing' | 'ragged'>> {
    const store = this.#store;
    const keys = this.#keys;
    const found = new Map<string, AffinityShares | 'changing' | 'ragged'>();
    let open = ids;
    for (let tries = 0; tries < READ_TRIES && open.length > 0; tries++) {
      const times = await store.hmget(keys.affinityAsOf, open);
      const hashes = await Promise.all(open.map((id) => store.hgetall(keys.affinityUser(id))));
      const timesAgain = await store.hmget(keys.affinityAsOf, open);
      const again: string[] = [];
      for (const [i, id] of open.entries()) {
        const shares = hashes[i]!;
        if (times[i] !== timesAgain[i]) {
          found.set(id, 'changing');
          again.push(id);
        } else if ((times[i] === null) !== (shares.size === 0)) found.set(id, 'ragged');
        else if (times[i] === null) found.delete(id);
        else {
          const scores = new Map([...shares].map(([category, share]) => [category, Number(share)]));
          found.set(id, { asOf: Number(times[i]), scores });
        }
      }
      open = again;
    }
    return found;
  }

  async interactions(ids: readonly string[]): Promise<Map<string, StoredInteractions | 'unreadable'>> {
    const texts = await Promise.all(ids.map((id) => this.#store.get(this.#keys.interactionsUser(id))));
    const found = new Map<string, StoredInteractions | 'unreadable'>();
    for (const [i, id] of ids.entries()) if (texts[i] !== null) found.set(id, readInteractions(texts[i]!));
    return found;
  }

  async list(
    holds: { user(id: string): boolean; product(id: string): boolean },
    depth: Depth,
  ): Promise<{ products: Map<string, Set<string>>; users: Set<string> }> {
    const store = this.#store;
    const keys = this.#keys;
    const products = new Map<string, Set<string>>();
    const users = new Set<string>();
    const product = (id: string, category?: string) => {
      if (!holds.product(id)) return;
      const seen = products.get(id) ?? new Set();
      products.set(id, seen);
      if (category !== undefined) seen.add(category);
    };
    const user = (id: string) => holds.user(id) && users.add(id);

    await this.#pages(this.#tables.popularity, 'product_id', depth, (id) => product(id));
    await this.#pages(this.#tables.affinity, 'user_id', depth, user);
    const best = await this.#best(keys.popularityAll, depth);
    for (const id of best) product(id);
    for (const category of await this.#categories(best, depth)) {
      for (const id of await this.#best(keys.popularityCategory(category), depth)) product(id, category);
    }
    if (depth === 'all') {
      for (const id of (await store.hgetall(keys.popularityGroups)).keys()) product(id);
      for (const id of (await store.hgetall(keys.popularityDay)).keys()) product(id);
      for (const id of await this.#idsBehind(keys.affinityUserPrefix)) user(id);
      for (const id of (await store.hgetall(keys.affinityAsOf)).keys()) user(id);
      for (const id of await this.#idsBehind(keys.interactionsUserPrefix)) user(id);
    }
    return { products, users };
  }

  async #categoryRank(category: string | null, id: string): Promise<number | null> {
    return category === null ? null : this.#store.zscore(this.#keys.popularityCategory(category), id);
  }

  /** What stands encoded behind the prefix in the names of keys. */
  async #idsBehind(prefix: string): Promise<string[]> {
    return (await this.#store.keys(prefix)).map((key) => decodeId(key.slice(prefix.length)));
  }

  async #best(key: string, depth: Depth): Promise<string[]> {
    const most = depth === 'all' ? RANKS_LISTED_MAX : RANKS_SHOWN;
    return (await this.#store.ztop(key, most)).map(({ member }) => member);
  }

  /** All existing categories, or those of the best products. */
  async #categories(best: readonly string[], depth: Depth): Promise<string[]> {
    if (depth === 'all') return this.#idsBehind(this.#keys.popularityCategoryPrefix);
    if (best.length === 0) return [];
    const groups = await this.#store.hmget(this.#keys.popularityGroups, best);
    const distinct = new Set(groups.filter((group) => group !== null));
    return [...distinct].slice(0, CATEGORIES_SOME).map(decodeId);
  }

  /** Keys of a table in order: all of it, or the page after the last one. */
  async #pages(table: string, key: string, depth: Depth, visit: (id: string) => unknown): Promise<void> {
    let after = depth === 'all' ? '' : (this.#listedTo.get(table) ?? '');
    for (;;) {
      const rows = await this.#database.query<{ id: string }>(
        `SELECT ${key} AS id FROM ${table} WHERE ${key} > $1 ORDER BY ${key} LIMIT ${PAGE_ROWS}`,
        [after],
      );
      for (const { id } of rows) visit(id);
      after = rows.length < PAGE_ROWS ? '' : rows.at(-1)!.id;
      if (depth === 'some') this.#listedTo.set(table, after);
      if (after === '' || depth === 'some') return;
    }
  }
}

function readInteractions(text: string): StoredInteractions | 'unreadable' {
  try {
    const row = storedInteractions(text);
    return Number.isInteger(row.asOf) && Math.abs(row.asOf) <= TIME_MAX ? row : 'unreadable';
  } catch {
    return 'unreadable';
  }
}
