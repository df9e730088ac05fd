/**
 * A typed reader of features. From their topics: changes, or the newest value per key; from Redis: single values and
 * lists, with scores decayed to now. The version is the one that Redis names as current: a consumer that follows a
 * topic here moves to the next version's topic once that one has become current.
 */
import { loadSettings } from '../assembly/settings.js';
import { createFeatureReader, type FeatureReader, popularItem } from '../publishing/reading/reader.js';
import { systemClock } from '../runtime/process/clock.js';
import { FreshetError } from '../runtime/process/errors.js';
import { silentLogger } from '../runtime/process/logger.js';
import type { Queryable } from '../runtime/stores/database.js';
import type { OnlineStore } from '../runtime/stores/online-store.js';
import { openRedis } from '../runtime/stores/redis/redis.js';
import { type TypedTopic, typedFeatureTopics } from '../topics/typed.js';
import { Connection, type ConnectionOptions } from './connection.js';
import {
  type Feature,
  type FeatureRecords,
  type FeatureTable,
  FollowedTable,
  Loading,
  VERSION_CHECK_MS,
} from './feature-table.js';
import { ModelClient, type ModelItems, type ServingAddress } from './model-client.js';
import { decoded, follow, type StartAt, type TopicRecord } from './records.js';

/** A change of a feature's topic. When `version` rises, all keys are sent again from that version's topic. */
export interface FeatureChange<T> extends TopicRecord<T> {
  readonly version: number;
}

export interface ReaderOptions extends ConnectionOptions {
  /** Stays with this version instead of following the current one in Redis. Required without REDIS_URL. */
  readonly version?: number;
  /** A Freshet with the role serving: answers of models come from there. */
  readonly serving?: ServingAddress;
}

export interface FollowOptions {
  /** Default 'earliest'. */
  readonly from?: StartAt;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

export interface PopularityNow {
  readonly product_id: string;
  readonly score: number;
  readonly category: string;
  /** The time the score was computed for, ms: now, or the end of the row's own UTC day. */
  readonly as_of: number;
  readonly version: number;
}

export interface PopularNow {
  readonly as_of: number;
  readonly version: number;
  /** Best first. `as_of` only if it differs from the list's. */
  readonly items: readonly { product_id: string; score: number; category: string; as_of?: number }[];
}

export interface AffinityNow {
  readonly user_id: string;
  readonly as_of: number;
  readonly version: number;
  /** 0 to 1 per category, adding up to 1. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface InteractionsNow {
  readonly user_id: string;
  readonly as_of: number;
  readonly version: number;
  /** Heaviest first, at most 1,000; weights are of `as_of`. */
  readonly items: readonly {
    readonly product_id: string;
    readonly weight: number;
    readonly count: number;
    readonly purchases: number;
  }[];
}

/**
 * Errors of every method: FreshetError; 'settings' if a setting is missing, 'unavailable' before the first publication.
 */
export interface Reader {
  /** The current version. */
  currentVersion(feature: Feature): Promise<number>;
  /** Every change, in the order of each partition. Ends only by the signal or an error. */
  changes<F extends Feature>(feature: F, options?: FollowOptions): AsyncGenerator<FeatureChange<FeatureRecords[F]>>;
  /** Resolves when all existing records have been read. */
  table<F extends Feature>(feature: F): Promise<FeatureTable<FeatureRecords[F]>>;
  /** The records of a topic of your own. */
  records<T>(topic: TypedTopic<T>, options?: FollowOptions): AsyncGenerator<TopicRecord<T>>;
  /** From Redis; null if the product has none. */
  getPopularity(productId: string): Promise<PopularityNow | null>;
  /** From Redis: the best of a category, or of all. `limit` 1 to 1000, default 20. */
  getPopular(options?: { readonly category?: string; readonly limit?: number }): Promise<PopularNow>;
  /** From Redis; null if there is none. */
  getAffinity(userId: string): Promise<AffinityNow | null>;
  /** From Redis: the products that the user had to do with; null if there are none. */
  getInteractions(userId: string): Promise<InteractionsNow | null>;
  /** From `serving`: products for a user, popular ones for a user that no model knows. `limit` 1 to 1000, default 20. */
  getRecommendations(userId: string, limit?: number): Promise<ModelItems>;
  /** From `serving`: products like this one; null if no model knows it. */
  getSimilar(productId: string, limit?: number): Promise<ModelItems | null>;
  /** From `serving`: products that match words. */
  search(query: string, limit?: number): Promise<ModelItems>;
  /** Closes everything this reader has returned. May be called repeatedly. */
  close(): Promise<void>;
}

const LIMIT = 20;

/** A reader with the given settings; Kafka and Redis are connected to on first use. Errors: 'settings'. */
export function createReader(options: ReaderOptions = {}): Reader {
  return new SettingsReader(options);
}

class SettingsReader implements Reader {
  readonly #o: ReaderOptions;
  readonly #ending = new AbortController();
  #connection: Promise<Connection> | null = null;
  #stores: Promise<Stores> | null = null;
  readonly #tables = new Set<FollowedTable<unknown>>();
  #closing: Promise<void> | null = null;

  constructor(options: ReaderOptions) {
    this.#o = options;
    // Wrong settings are refused here, before anything is connected to.
    loadSettings(options.settings ?? process.env);
  }

  async currentVersion(feature: Feature): Promise<number> {
    const { version } = this.#o;
    if (version !== undefined) return version;
    const { features } = await this.#openStores();
    return (await features.currentVersion(feature)).version;
  }

  async *changes<F extends Feature>(
    feature: F,
    { from = 'earliest', signal }: FollowOptions = {},
  ): AsyncGenerator<FeatureChange<FeatureRecords[F]>> {
    const connection = await this.#open();
    const ending = this.#endingWith(signal);
    let start = from;
    while (!ending.aborted) {
      const version = await this.currentVersion(feature);
      const topic = topicOf(feature, version);
      const isOver = this.#watchFor(feature, version);
      for await (const record of this.#follow(connection, topic, start, ending, isOver)) yield { ...record, version };
      start = 'earliest';
    }
  }

  async *records<T>(
    topic: TypedTopic<T>,
    { from = 'earliest', signal }: FollowOptions = {},
  ): AsyncGenerator<TopicRecord<T>> {
    yield* this.#follow(await this.#open(), topic, from, this.#endingWith(signal), async () => false);
  }

  async table<F extends Feature>(feature: F): Promise<FeatureTable<FeatureRecords[F]>> {
    const connection = await this.#open();
    const codecs = await connection.codecs([]);
    const load = async (version: number) => {
      const topic = topicOf(feature, version);
      return Loading.start(connection.log, topic, codecs.of(topic), version, this.#ending.signal);
    };
    const table = new FollowedTable(
      feature,
      load,
      () => this.currentVersion(feature),
      (ended) => {
        this.#tables.delete(ended);
      },
    );
    this.#tables.add(table);
    await table.start();
    return table;
  }

  async getPopularity(productId: string): Promise<PopularityNow | null> {
    const { store, features } = await this.#openStores();
    const { version, halfLifeMs, keys } = await features.currentVersion('popularity');
    const [rank, day, group] = await Promise.all([
      store.zscore(keys.popularityAll, productId),
      store.hget(keys.popularityDay, productId),
      store.hget(keys.popularityGroups, productId),
    ]);
    if (rank === null || day === null || group === null) return null;
    const now = systemClock.now();
    const { score, category, asOf } = popularItem(
      productId,
      decodeURIComponent(group),
      rank,
      Number(day),
      now,
      halfLifeMs,
    );
    return { product_id: productId, score, category, as_of: asOf ?? now, version };
  }

  async getPopular({ category, limit = LIMIT }: { category?: string; limit?: number } = {}): Promise<PopularNow> {
    checkedLimit(limit);
    const { features } = await this.#openStores();
    const { asOf, version, items } = await features.popular(category ?? null, limit);
    return {
      as_of: asOf,
      version,
      items: items.map(({ productId, asOf: own, ...item }) => ({
        product_id: productId,
        ...item,
        ...(own === undefined ? {} : { as_of: own }),
      })),
    };
  }

  async getAffinity(userId: string): Promise<AffinityNow | null> {
    const { features } = await this.#openStores();
    const found = await features.affinity(userId);
    return found && { user_id: found.userId, as_of: found.asOf, version: found.version, scores: found.scores };
  }

  async getInteractions(userId: string): Promise<InteractionsNow | null> {
    const { features } = await this.#openStores();
    const found = (await features.interactions([userId])).rows.get(userId);
    if (found === undefined) return null;
    const items = found.items.map(({ productId, ...rest }) => ({ product_id: productId, ...rest }));
    return { user_id: userId, as_of: found.asOf, version: found.version, items };
  }

  async getRecommendations(userId: string, limit = LIMIT): Promise<ModelItems> {
    return await this.#models().recommendations(userId, checkedLimit(limit));
  }

  async getSimilar(productId: string, limit = LIMIT): Promise<ModelItems | null> {
    return await this.#models().similar(productId, checkedLimit(limit));
  }

  async search(query: string, limit = LIMIT): Promise<ModelItems> {
    return await this.#models().search(query, checkedLimit(limit));
  }

  #models(): ModelClient {
    this.#refuseClosed();
    const { serving } = this.#o;
    if (serving === undefined)
      throw new FreshetError(
        'settings',
        'Answers of models come from a running Freshet: createReader({ serving: { address, token } }).',
      );
    return new ModelClient(serving);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.#tables].map((table) => table.close()));
    for (const opened of [this.#connection, this.#stores]) {
      // If opening failed, its caller has received the error.
      const one = await opened?.catch(() => null);
      await one?.close();
    }
  }

  #endingWith(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal]);
  }

  /** Checks at most once a second whether another version has become current. */
  #watchFor(feature: Feature, version: number): () => Promise<boolean> {
    let lookedAt = systemClock.elapsed();
    return async () => {
      if (systemClock.elapsed() - lookedAt < VERSION_CHECK_MS) return false;
      lookedAt = systemClock.elapsed();
      return (await this.currentVersion(feature)) !== version;
    };
  }

  async *#follow<T>(
    connection: Connection,
    topic: TypedTopic<T>,
    from: StartAt,
    ending: AbortSignal,
    isOver: () => Promise<boolean>,
  ): AsyncGenerator<TopicRecord<T>> {
    const codec = (await connection.codecs([])).of(topic);
    const { reader } = await follow(connection.log, topic.name, from);
    try {
      while (!ending.aborted && !(await isOver()))
        for (const batch of await reader.poll()) {
          for (const record of await decoded(batch, codec, topic)) {
            if (ending.aborted) return;
            yield record;
          }
        }
    } finally {
      await reader.close();
    }
  }

  #open(): Promise<Connection> {
    this.#refuseClosed();
    this.#connection ??= Connection.open(this.#o).catch((error: unknown) => {
      this.#connection = null;
      throw error;
    });
    return this.#connection;
  }

  #openStores(): Promise<Stores> {
    this.#refuseClosed();
    this.#stores ??= openStores(this.#o).catch((error: unknown) => {
      this.#stores = null;
      throw error;
    });
    return this.#stores;
  }

  #refuseClosed(): void {
    if (this.#closing !== null) throw new FreshetError('unavailable', 'The reader is closed.');
  }
}

interface Stores {
  readonly store: OnlineStore;
  readonly features: FeatureReader;
  close(): Promise<void>;
}

async function openStores(options: ReaderOptions): Promise<Stores> {
  const { REDIS_URL, REDIS_PASSWORD, REDIS_KEY_PREFIX } = loadSettings(options.settings ?? process.env);
  if (REDIS_URL === undefined)
    throw new FreshetError(
      'settings',
      'REDIS_URL is not set: the current version and single values are read from there. To follow a topic alone, name its version.',
    );
  const password = REDIS_PASSWORD === undefined ? {} : { password: REDIS_PASSWORD };
  const store = await openRedis(
    { url: REDIS_URL, keyPrefix: REDIS_KEY_PREFIX, ...password },
    options.logger ?? silentLogger,
  );
  const features = createFeatureReader({
    store,
    database: noDatabase,
    keyPrefix: REDIS_KEY_PREFIX,
    clock: systemClock,
  });
  return { store, features, close: () => store.close() };
}

function checkedLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit;
  throw new FreshetError('invalid_data', `limit must be a whole number from 1 to 1000 (it is ${limit}).`);
}

/** Nothing read here is only in Postgres. */
async function refuse(): Promise<never> {
  throw new FreshetError('settings', 'This reader reads from Redis and from topics, not from Postgres.');
}

const noDatabase: Queryable = { query: refuse, execute: refuse };

function topicOf<F extends Feature>(feature: F, version: number): TypedTopic<FeatureRecords[F]> {
  return typedFeatureTopics(version)[feature] as unknown as TypedTopic<FeatureRecords[F]>;
}
