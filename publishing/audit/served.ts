/** What both stores serve for the given keys, read row by row as readers would. */
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { affinityTable, decodeId, encodeId, Layout, popularityTable } from '../layout.js';
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
  readonly version: number;
}

/** The largest time that a Date can hold, ms. */
const TIME_MAX = 8.64e15;

export class StoredFeatures implements Served {
  readonly #store: OnlineStore;
  readonly #database: Database;
  readonly #version: number;
  readonly #layout: Layout;
  /** Where the next partial listing of a table continues. */
  readonly #listedTo = new Map<string, string>();

  constructor({ store, database, keyPrefix, version }: ServedOptions) {
    this.#store = store;
    this.#database = database;
    this.#version = version;
    this.#layout = new Layout(keyPrefix);
  }

  async popularityRows(ids: readonly string[]): Promise<Map<string, PopularityRow>> {
    const rows = await this.#database.query<Omit<PopularityRow, 'asOf'> & { product_id: string; as_of: Date }>(
      `SELECT product_id, category, score, as_of, views, add_to_carts, purchases
       FROM ${popularityTable(this.#version)} WHERE product_id = ANY($1::text[])`,
      [ids],
    );
    return new Map(rows.map(({ product_id, as_of, ...row }) => [product_id, { ...row, asOf: as_of.getTime() }]));
  }

  async affinityRows(ids: readonly string[]): Promise<Map<string, AffinityShares>> {
    const rows = await this.#database.query<{ user_id: string; as_of: Date; scores: Record<string, number> }>(
      `SELECT user_id, as_of, scores FROM ${affinityTable(this.#version)} WHERE user_id = ANY($1::text[])`,
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
    const layout = this.#layout;
    const found = new Map<string, PopularityRank | 'changing'>();
    let open = ids;
    for (let tries = 0; tries < READ_TRIES && open.length > 0; tries++) {
      const all = (key: string) => Promise.all(open.map((id) => store.zscore(key, id)));
      const ranks = await all(layout.popularityAll(this.#version));
      const groups = await store.hmget(layout.popularityGroups(this.#version), open);
      const days = await store.hmget(layout.popularityDay(this.#version), open);
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
      const ranksAgain = await all(layout.popularityAll(this.#version));
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
    const layout = this.#layout;
    const found = new Map<string, AffinityShares | 'changing' | 'ragged'>();
    let open = ids;
    for (let tries = 0; tries < READ_TRIES && open.length > 0; tries++) {
      const times = await store.hmget(layout.affinityAsOf(this.#version), open);
      const hashes = await Promise.all(open.map((id) => store.hgetall(layout.affinityUser(this.#version, id))));
      const timesAgain = await store.hmget(layout.affinityAsOf(this.#version), open);
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
    const layout = this.#layout;
    const texts = await Promise.all(ids.map((id) => this.#store.get(layout.interactionsUser(this.#version, id))));
    const found = new Map<string, StoredInteractions | 'unreadable'>();
    for (const [i, id] of ids.entries()) if (texts[i] !== null) found.set(id, readInteractions(texts[i]!));
    return found;
  }

  async list(
    holds: { user(id: string): boolean; product(id: string): boolean },
    depth: Depth,
  ): Promise<{ products: Map<string, Set<string>>; users: Set<string> }> {
    const layout = this.#layout;
    const store = this.#store;
    const version = this.#version;
    const products = new Map<string, Set<string>>();
    const users = new Set<string>();
    const product = (id: string, category?: string) => {
      if (!holds.product(id)) return;
      const seen = products.get(id) ?? new Set();
      products.set(id, seen);
      if (category !== undefined) seen.add(category);
    };
    const user = (id: string) => holds.user(id) && users.add(id);

    await this.#pages(popularityTable(version), 'product_id', depth, (id) => product(id));
    await this.#pages(affinityTable(version), 'user_id', depth, user);
    const best = await this.#best(layout.popularityAll(version), depth);
    for (const id of best) product(id);
    const prefix = layout.popularityCategoryPrefix(version);
    for (const category of await this.#categories(best, depth)) {
      for (const id of await this.#best(prefix + encodeId(category), depth)) product(id, category);
    }
    if (depth === 'all') {
      for (const id of (await store.hgetall(layout.popularityGroups(version))).keys()) product(id);
      for (const id of (await store.hgetall(layout.popularityDay(version))).keys()) product(id);
      const userPrefix = layout.affinityUserPrefix(version);
      for (const key of await store.keys(userPrefix)) user(decodeId(key.slice(userPrefix.length)));
      for (const id of (await store.hgetall(layout.affinityAsOf(version))).keys()) user(id);
      const itemsPrefix = layout.interactionsUserPrefix(version);
      for (const key of await store.keys(itemsPrefix)) user(decodeId(key.slice(itemsPrefix.length)));
    }
    return { products, users };
  }

  async #categoryRank(category: string | null, id: string): Promise<number | null> {
    return category === null ? null : this.#store.zscore(this.#layout.popularityCategory(this.#version, category), id);
  }

  async #best(key: string, depth: Depth): Promise<string[]> {
    const most = depth === 'all' ? RANKS_LISTED_MAX : RANKS_SHOWN;
    return (await this.#store.ztop(key, most)).map(({ member }) => member);
  }

  /** All existing categories, or those of the best products. */
  async #categories(best: readonly string[], depth: Depth): Promise<string[]> {
    const prefix = this.#layout.popularityCategoryPrefix(this.#version);
    if (depth === 'all') return (await this.#store.keys(prefix)).map((key) => decodeId(key.slice(prefix.length)));
    if (best.length === 0) return [];
    const groups = await this.#store.hmget(this.#layout.popularityGroups(this.#version), best);
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
