/**
 * Reads published features for serving. A request takes the version once, here, and reads only that version from both
 * stores; stopwords and their version come in one step. Scores are recomputed for the time of the answer, within the
 * UTC day of their row and never across midnight: no formula knows how much left the window then.
 */
import type { Clock } from '../../runtime/process/clock.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { type FeatureTables, featureSet } from '../../topics/feature-set.js';
import { decodeId, Layout, type LiveKeys, popularityAt } from '../layout.js';
import { type StoredInteractions, storedInteractions } from '../sinks/interactions-row.js';
import { utcDay, withinDay } from '../utc-day.js';
import { type LiveArtefact, liveSettings, type VersionSettings } from '../versions/live-version.js';
import { PIN_SETTINGS, type Pinned } from '../versions/pins.js';
import { type CatalogueProduct, productsOf, storable } from './catalogue-reader.js';
import { type StopwordList, StopwordReader } from './stopword-reader.js';

/** A version that readers may use, with the settings needed to read it. */
interface LiveVersion {
  readonly version: number;
  readonly halfLifeMs: number;
  readonly keys: LiveKeys;
  readonly tables: FeatureTables;
}

interface PopularItem {
  readonly productId: string;
  readonly score: number;
  readonly category: string;
  /** ms; only if the score could not be computed for the list's own time. */
  readonly asOf?: number;
}

/** Times in ms since 1970 UTC, here and below. */
interface PopularList {
  readonly asOf: number;
  readonly version: number;
  /** Best first. */
  readonly items: readonly PopularItem[];
}

export interface ProductPopularity {
  readonly productId: string;
  readonly score: number;
  readonly asOf: number;
  readonly version: number;
  readonly views: number;
  readonly addToCarts: number;
  readonly purchases: number;
}

export interface UserAffinity {
  readonly userId: string;
  readonly asOf: number;
  readonly version: number;
  readonly scores: Readonly<Record<string, number>>;
}

export interface UserInteractions extends StoredInteractions {
  readonly userId: string;
  readonly version: number;
}

/** Rows of one version, by id. */
interface Many<T> {
  readonly version: number;
  readonly rows: ReadonlyMap<string, T>;
}

/** Errors: FreshetError of the stores; 'unavailable' before the first publication. */
export interface FeatureReader {
  /** The version that the online store currently points to, or the pinned one. */
  currentVersion(artefact: LiveArtefact): Promise<LiveVersion>;
  /** The best `limit` products of a category, or of all (null). An unknown category is an empty list. */
  popular(category: string | null, limit: number): Promise<PopularList>;
  /** One product's popularity and counts; null if it has none. */
  popularity(productId: string): Promise<ProductPopularity | null>;
  /** One user's affinity; null if there is none. */
  affinity(userId: string): Promise<UserAffinity | null>;
  /** The same for many products at once; those without are absent. */
  popularities(productIds: readonly string[]): Promise<Many<ProductPopularity>>;
  /** The same for many users at once; those without are absent. */
  affinities(userIds: readonly string[]): Promise<Many<UserAffinity>>;
  /** What many users did, heaviest products first; users without interactions are absent. */
  interactions(userIds: readonly string[]): Promise<Many<UserInteractions>>;
  /** What the catalogue says of products; those it does not have are absent. */
  catalogue(productIds: readonly string[]): Promise<ReadonlyMap<string, CatalogueProduct>>;
  /** Stopwords of one language, highest confidence first; null if the version has no such language. */
  stopwords(language: string): Promise<StopwordList | null>;
  /** Languages of the version that `stopwords` reads, in order; empty if there is no version yet. */
  stopwordLanguages(): Promise<string[]>;
}

interface FeatureReaderOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  /** The setting REDIS_KEY_PREFIX. */
  readonly keyPrefix: string;
  readonly clock: Clock;
  /** Versions to read instead of the current ones: `pinnedBy(settings)`. One that does not exist is 'unavailable'. */
  readonly pinned?: Pinned;
}

export function createFeatureReader(options: FeatureReaderOptions): FeatureReader {
  return new StoreReader(options);
}

class StoreReader implements FeatureReader {
  readonly #o: FeatureReaderOptions;
  readonly #layout: Layout;
  readonly #stopwords: StopwordReader;
  /** A version's settings never change, so they are read once. */
  readonly #versions = new Map<string, LiveVersion>();

  constructor(options: FeatureReaderOptions) {
    this.#o = options;
    this.#layout = new Layout(options.keyPrefix);
    this.#stopwords = new StopwordReader(options, this.#layout);
  }

  async currentVersion(artefact: LiveArtefact): Promise<LiveVersion> {
    const { store, pinned } = this.#o;
    const fixed = pinned?.[artefact];
    if (fixed !== undefined) return this.#pinned(artefact, fixed);
    const pointer = await store.get(this.#layout.currentVersion(artefact));
    if (pointer === null) throw notPublished(artefact);
    const known = this.#versions.get(`${artefact}/${pointer}`);
    if (known !== undefined) return known;
    const version = Number(pointer);
    if (!Number.isSafeInteger(version) || version < 1)
      throw new FreshetError('state', `The pointer to the current version of ${artefact} is "${pointer}".`);
    const text = await store.get(this.#layout.versionSettings(artefact, version));
    if (text === null) throw notPublished(artefact);
    const live = this.#live(version, JSON.parse(text) as VersionSettings);
    this.#versions.set(`${artefact}/${pointer}`, live);
    return live;
  }

  async #pinned(artefact: LiveArtefact, version: number): Promise<LiveVersion> {
    const name = `${artefact}/${version}`;
    let live = this.#versions.get(name);
    if (live === undefined) {
      const [row] = await this.#o.database.query<{ manifest: Record<string, unknown> }>(
        'SELECT manifest FROM versions WHERE artefact = $1 AND version = $2',
        [artefact, version],
      );
      if (row === undefined)
        throw new FreshetError('unavailable', `${PIN_SETTINGS[artefact]} is ${version}: there is no such version.`);
      live = this.#live(version, liveSettings(row.manifest));
      this.#versions.set(name, live);
    }
    return live;
  }

  #live(version: number, { half_life_ms }: VersionSettings): LiveVersion {
    const set = featureSet(version);
    return { version, halfLifeMs: half_life_ms, keys: this.#layout.features(set), tables: set.tables };
  }

  stopwords(language: string): Promise<StopwordList | null> {
    return this.#stopwords.read(language);
  }

  stopwordLanguages(): Promise<string[]> {
    return this.#stopwords.languages();
  }

  async popular(category: string | null, limit: number): Promise<PopularList> {
    const { version, halfLifeMs, keys } = await this.currentVersion('popularity');
    const asOf = this.#o.clock.now();
    const key = category === null ? keys.popularityAll : keys.popularityCategory(category);
    const ranked = await this.#o.store.ztop(key, limit);
    const ids = ranked.map(({ member }) => member);
    const [days, groups] = await Promise.all([
      this.#fields(keys.popularityDay, ids),
      category === null ? this.#fields(keys.popularityGroups, ids) : [],
    ]);
    const items: PopularItem[] = [];
    for (const [i, { member, score }] of ranked.entries()) {
      const day = days[i] ?? null;
      const group = groups[i] ?? null;
      const shown = category ?? (group === null ? null : decodeId(group));
      // Deleted between the two reads: it has left the list.
      if (day === null || shown === null) continue;
      items.push(popularItem(member, shown, score, Number(day), asOf, halfLifeMs));
    }
    return { asOf, version, items };
  }

  async popularity(productId: string): Promise<ProductPopularity | null> {
    return (await this.popularities([productId])).rows.get(productId) ?? null;
  }

  async popularities(productIds: readonly string[]): Promise<Many<ProductPopularity>> {
    const { version, halfLifeMs, tables } = await this.currentVersion('popularity');
    const asked = storable(productIds);
    const found =
      asked.length === 0
        ? []
        : await this.#o.database.query<PopularityRow>(
            `SELECT product_id, score, as_of, views, add_to_carts, purchases
             FROM ${tables.popularity} WHERE product_id = ANY($1)`,
            [asked],
          );
    const now = this.#o.clock.now();
    const rows = found.map(({ product_id: productId, score, as_of, views, add_to_carts, purchases }) => {
      const rowMs = as_of.getTime();
      const asOf = withinDay(utcDay(rowMs), now);
      const decayed = score * 2 ** (-(asOf - rowMs) / halfLifeMs);
      return [
        productId,
        { productId, score: decayed, asOf, version, views, addToCarts: add_to_carts, purchases },
      ] as const;
    });
    return { version, rows: new Map(rows) };
  }

  catalogue(productIds: readonly string[]): Promise<ReadonlyMap<string, CatalogueProduct>> {
    return productsOf(this.#o.database, productIds);
  }

  async affinity(userId: string): Promise<UserAffinity | null> {
    const { version, keys } = await this.currentVersion('affinity');
    const [asOf, scores] = await Promise.all([
      this.#o.store.hget(keys.affinityAsOf, userId),
      this.#o.store.hgetall(keys.affinityUser(userId)),
    ]);
    if (asOf === null) return null;
    const numbers = [...scores].map(([category, score]) => [category, Number(score)] as const);
    return { userId, asOf: Number(asOf), version, scores: Object.fromEntries(numbers) };
  }

  /** From Postgres: one query for all, where the online store would be asked once per user. */
  async affinities(userIds: readonly string[]): Promise<Many<UserAffinity>> {
    const { version, tables } = await this.currentVersion('affinity');
    const asked = storable(userIds);
    const found =
      asked.length === 0
        ? []
        : await this.#o.database.query<AffinityRow>(
            `SELECT user_id, as_of, scores FROM ${tables.affinity} WHERE user_id = ANY($1)`,
            [asked],
          );
    const rows = found.map(
      ({ user_id: userId, as_of, scores }) => [userId, { userId, asOf: as_of.getTime(), version, scores }] as const,
    );
    return { version, rows: new Map(rows) };
  }

  async interactions(userIds: readonly string[]): Promise<Many<UserInteractions>> {
    const { version, keys } = await this.currentVersion('interactions');
    const asked = [...new Set(userIds)];
    const texts = await Promise.all(asked.map((userId) => this.#o.store.get(keys.interactionsUser(userId))));
    const rows = asked.flatMap((userId, i): [string, UserInteractions][] => {
      const text = texts[i];
      if (text === null || text === undefined) return [];
      return [[userId, { userId, version, ...storedInteractions(text) }]];
    });
    return { version, rows: new Map(rows) };
  }

  async #fields(key: string, fields: readonly string[]): Promise<(string | null)[]> {
    return fields.length === 0 ? [] : this.#o.store.hmget(key, fields);
  }
}

interface AffinityRow {
  readonly user_id: string;
  readonly as_of: Date;
  readonly scores: Readonly<Record<string, number>>;
}

interface PopularityRow {
  readonly product_id: string;
  readonly score: number;
  readonly as_of: Date;
  readonly views: number;
  readonly add_to_carts: number;
  readonly purchases: number;
}

/** `day`: of the row's as_of. A row from another day keeps its own time, and `asOf` says so. */
export function popularItem(
  productId: string,
  category: string,
  rank: number,
  day: number,
  nowMs: number,
  halfLifeMs: number,
): PopularItem {
  const atMs = withinDay(day, nowMs);
  const item = { productId, score: popularityAt(rank, atMs, halfLifeMs), category };
  return atMs === nowMs ? item : { ...item, asOf: atMs };
}

function notPublished(artefact: LiveArtefact): FreshetError {
  return new FreshetError('unavailable', `No ${artefact} is published yet: start the publisher first.`);
}
