/** What stores would serve if they held exactly the contents of the feature topics, with a hook to falsify it. */
import type {
  AffinityShares,
  Depth,
  Listing,
  PopularityRank,
  PopularityRow,
  Served,
} from '../../publishing/audit/served.js';
import { rankScore } from '../../publishing/layout.js';
import {
  interactionsReader,
  type StoredInteractions,
  storedInteractions,
} from '../../publishing/sinks/interactions-row.js';
import { utcDay } from '../../publishing/utc-day.js';
import type { SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import type { Affinity, Interactions, Popularity } from '../../schemas/records.js';
import type { Driver } from './driver.js';

export interface StoredRows {
  readonly popularityRows: Map<string, PopularityRow>;
  readonly popularityRanks: Map<string, PopularityRank>;
  readonly affinityRows: Map<string, AffinityShares>;
  readonly affinityHashes: Map<string, AffinityShares | 'ragged'>;
  readonly interactions: Map<string, StoredInteractions | 'unreadable'>;
}

const NOTHING: PopularityRank = { rank: null, day: null, category: null, categoryRank: null, elsewhere: [] };

export class ServedTopics implements Served {
  readonly #driver: Driver;
  readonly #halfLifeMs: number;
  readonly #readText = interactionsReader();
  /** Falsifies the rows at every read. */
  spoil: (rows: StoredRows) => void = () => undefined;
  /** Runs just before rows of Postgres are read. */
  beforeRead: () => Promise<void> = async () => undefined;
  /** Whether the online store reports that it holds everything, or nothing. */
  applied = true;
  /** A topic of which it holds nothing even then. */
  missing: string | null = null;

  constructor(driver: Driver, popularityHalfLifeMs: number) {
    this.#driver = driver;
    this.#halfLifeMs = popularityHalfLifeMs;
  }

  /** Sinks that have applied everything. */
  readonly positions = {
    redis: async ({ topic }: SinkId): Promise<SinkPosition | null> =>
      this.applied && topic !== this.missing ? ALL_APPLIED : null,
    postgres: async (): Promise<SinkPosition> => ALL_APPLIED,
  };

  async rows(): Promise<StoredRows> {
    const { topics } = this.#driver;
    const popularity = await this.#driver.table<Popularity>(topics.popularity.name);
    const affinity = await this.#driver.table<Affinity>(topics.affinity.name);
    const interactions = await this.#driver.table<Interactions>(topics.interactions.name);
    const rows: StoredRows = {
      popularityRows: new Map(),
      popularityRanks: new Map(),
      affinityRows: new Map(),
      affinityHashes: new Map(),
      interactions: new Map(),
    };
    for (const [id, { as_of, category, score, views, add_to_carts, purchases }] of popularity) {
      const rank = rankScore(score, as_of, this.#halfLifeMs);
      rows.popularityRows.set(id, { asOf: as_of, category, score, views, add_to_carts, purchases });
      rows.popularityRanks.set(id, { rank, day: utcDay(as_of), category, categoryRank: rank, elsewhere: [] });
    }
    for (const [id, { as_of, scores }] of affinity) {
      rows.affinityRows.set(id, { asOf: as_of, scores: new Map(Object.entries(scores)) });
      rows.affinityHashes.set(id, { asOf: as_of, scores: new Map(Object.entries(scores)) });
    }
    for (const [id, row] of interactions) rows.interactions.set(id, storedInteractions(this.#textOf(row)));
    this.spoil(rows);
    return rows;
  }

  /** In the form the sink writes. */
  #textOf(row: Interactions): string {
    const { codec } = this.#driver;
    const bytes = codec.encode('Interactions', row);
    return this.#readText(codec, bytes, 0, bytes.length).text;
  }

  async popularityRows(): Promise<Map<string, PopularityRow>> {
    await this.beforeRead();
    return (await this.rows()).popularityRows;
  }

  async popularityRanks(ids: readonly string[]): Promise<Map<string, PopularityRank>> {
    const { popularityRanks } = await this.rows();
    return new Map(ids.map((id) => [id, popularityRanks.get(id) ?? NOTHING]));
  }

  async affinityRows(): Promise<Map<string, AffinityShares>> {
    return (await this.rows()).affinityRows;
  }

  async affinityHashes(): Promise<Map<string, AffinityShares | 'ragged'>> {
    return (await this.rows()).affinityHashes;
  }

  async interactions(): Promise<Map<string, StoredInteractions | 'unreadable'>> {
    return (await this.rows()).interactions;
  }

  async list(holds: { user(id: string): boolean; product(id: string): boolean }, _depth: Depth): Promise<Listing> {
    const rows = await this.rows();
    const products = [...rows.popularityRows.keys(), ...rows.popularityRanks.keys()].filter(holds.product);
    const { affinityRows, affinityHashes, interactions } = rows;
    const users = [affinityRows, affinityHashes, interactions].flatMap((held) => [...held.keys()]).filter(holds.user);
    return { products: new Map(products.map((id) => [id, new Set()])), users: new Set(users) };
  }
}

const ALL_APPLIED: SinkPosition = {
  epoch: 1,
  nextOffset: Number.MAX_SAFE_INTEGER,
  updatedAt: 1,
  incarnation: '',
};
