/** Redis and Postgres as readers see them, compared with a recount. Key and table names are those of the contract. */
import { utcDay } from '../../../publishing/audit/reference.js';
import type { Database } from '../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import type { Affinity, Popularity } from '../../../schemas/records.js';
import { DEFAULT_SETTINGS, type Reference } from '../../support/reference.js';
import { compareAffinity, comparePopularity, type Differences } from './differences.js';

export interface CheckedStores {
  readonly store: OnlineStore;
  readonly database: Database;
  readonly keyPrefix: string;
}

export async function compareStores(
  differences: Differences,
  { store, database, keyPrefix }: CheckedStores,
  reference: Reference,
): Promise<void> {
  await compareRankings(differences, store, keyPrefix, reference);
  const online = new Map<string, Affinity>();
  for (const [user, asOf] of await store.hgetall(`${keyPrefix}affinity:v1:as_of`)) {
    const scores = await store.hgetall(`${keyPrefix}affinity:v1:user:${encodeURIComponent(user)}`);
    const numbers = [...scores].map(([category, score]) => [category, Number(score)] as const);
    online.set(user, { user_id: user, as_of: Number(asOf), scores: Object.fromEntries(numbers) });
  }
  compareAffinity(differences, 'Redis', reference, online);

  type Row<T> = Omit<T, 'as_of'> & { as_of: Date };
  const withTime = <T extends { as_of: number }>(row: Row<T>) =>
    ({ ...row, as_of: row.as_of.getTime() }) as unknown as T;
  const products = (await database.query<Row<Popularity>>('SELECT * FROM product_popularity')).map(
    withTime<Popularity>,
  );
  comparePopularity(differences, 'Postgres', reference, new Map(products.map((row) => [row.product_id, row])));
  const users = (await database.query<Row<Affinity>>('SELECT * FROM user_affinity')).map(withTime<Affinity>);
  compareAffinity(differences, 'Postgres', reference, new Map(users.map((row) => [row.user_id, row])));
  const letters = await database.query<{ id: string }>('SELECT id FROM dead_letters');
  differences.counts(letters.length, reference.intake.dead.length, 'Postgres: dead letters');
}

/** The sorted sets: scores as the contract defines them, each product in the set of its category and in no other. */
async function compareRankings(
  differences: Differences,
  store: OnlineStore,
  keyPrefix: string,
  reference: Reference,
): Promise<void> {
  const halfLife = DEFAULT_SETTINGS.popularityHalfLifeMs;
  const all = await store.ztop(`${keyPrefix}popularity:v1:all`, 1_000_000);
  const days = await store.hgetall(`${keyPrefix}popularity:v1:day`);
  const ranks = new Map(all.map(({ member, score }) => [member, score]));
  const now = Date.now();
  const categories = new Map<string, string[]>();
  const prefix = `${keyPrefix}popularity:v1:cat:`;
  for (const key of await store.keys(prefix))
    for (const { member } of await store.ztop(key, 1_000_000))
      categories.set(member, [...(categories.get(member) ?? []), decodeURIComponent(key.slice(prefix.length))]);
  for (const product of new Set([...reference.products, ...ranks.keys(), ...categories.keys()])) {
    const day = Number(days.get(product) ?? utcDay(now));
    // A score is valid within the UTC day of its row.
    const asOf = Math.min(now, (day + 1) * 86_400_000 - 1);
    const expected = reference.popularity(product, asOf);
    const rank = ranks.get(product);
    if (rank === undefined || expected === null) {
      if (rank === undefined && expected !== null) differences.lost(1, `Redis: ${product} is missing`);
      if (rank !== undefined && expected === null) differences.double(1, `Redis: ${product} should not be there`);
      continue;
    }
    const score = 2 ** (rank - asOf / halfLife);
    // The rank is a double near 1,500: its last bit is worth 1.6e-13 of the score.
    differences.value(score, expected.score, `Redis: score of ${product}`);
    const found = (categories.get(product) ?? []).join(', ');
    if (found !== expected.category) differences.wrong(`Redis: ${product} is in ${found}, not ${expected.category}`);
  }
}
