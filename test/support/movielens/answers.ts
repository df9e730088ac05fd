/** Collects what HTTP, Redis and Postgres say, in the form in which the recount checks it. */

import { Layout, popularityAt } from '../../../publishing/layout.js';
import type { Database } from '../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import { featureSet } from '../../../topics/feature-set.js';
import type { Answer } from './recount.js';

const DAY_MS = 86_400_000;
const AT_ONCE = 16;
const HALF_LIFE_MS = 14 * DAY_MS;
const SET = featureSet(1);

interface Counted {
  readonly score: number;
  readonly views: number;
  readonly add_to_carts: number;
  readonly purchases: number;
}

type PopularityBody = Counted & { readonly product_id: string; readonly as_of: string };

interface AffinityBody {
  readonly user_id: string;
  readonly as_of: string;
  readonly scores: Readonly<Record<string, number>>;
}

/** Every product and user one by one; a 404 is no answer. */
export async function httpAnswers(address: string, products: string[], users: string[]): Promise<Answer[]> {
  const popularity = await inParallel(products, async (id): Promise<Answer | null> => {
    const found = await get(`${address}/v1/products/${encodeURIComponent(id)}/popularity`);
    if (found === null) return null;
    const { product_id, as_of, ...counted } = found as PopularityBody;
    return { source: 'http', kind: 'popularity', id: product_id, as_of: Date.parse(as_of), ...counted };
  });
  const affinity = await inParallel(users, async (id): Promise<Answer | null> => {
    const found = await get(`${address}/v1/users/${encodeURIComponent(id)}/affinity`);
    if (found === null) return null;
    const { user_id, as_of, scores } = found as AffinityBody;
    return { source: 'http', kind: 'affinity', id: user_id, as_of: Date.parse(as_of), scores };
  });
  return [...popularity, ...affinity].filter((answer) => answer !== null);
}

/** The list of popular products, best first; every item at its own as_of or the list's. */
export async function popularAnswers(address: string, limit: number): Promise<Answer[]> {
  const list = (await get(`${address}/v1/popular?limit=${limit}`)) as {
    as_of: string;
    items: { product_id: string; score: number; category: string; as_of?: string }[];
  };
  return list.items.map(({ product_id, score, category, as_of }) => ({
    source: 'list',
    kind: 'popularity',
    id: product_id,
    as_of: Date.parse(as_of ?? list.as_of),
    score,
    category,
  }));
}

/** Straight from the keys. A product's rank holds within the day of its row: it is read at the end of that day. */
export async function redisAnswers(store: OnlineStore): Promise<Answer[]> {
  const keys = new Layout().features(SET);
  const days = await store.hgetall(keys.popularityDay);
  const categories = await store.hgetall(keys.popularityGroups);
  const answers: Answer[] = [];
  for (const { member, score } of await store.ztop(keys.popularityAll, days.size + 1)) {
    const as_of = (Number(days.get(member)) + 1) * DAY_MS - 1;
    const category = decodeURIComponent(categories.get(member) ?? '');
    answers.push({
      source: 'redis',
      kind: 'popularity',
      id: member,
      as_of,
      score: popularityAt(score, as_of, HALF_LIFE_MS),
      category,
    });
  }
  const times = await store.hgetall(keys.affinityAsOf);
  const affinity = await inParallel([...times], async ([user, as_of]): Promise<Answer> => {
    const scores = await store.hgetall(keys.affinityUser(user));
    const numbers = [...scores].map(([category, share]) => [category, Number(share)]);
    return { source: 'redis', kind: 'affinity', id: user, as_of: Number(as_of), scores: Object.fromEntries(numbers) };
  });
  return [...answers, ...affinity];
}

export async function postgresAnswers(database: Database): Promise<Answer[]> {
  const popularity = await database.query<Counted & { product_id: string; category: string; as_of: Date }>(
    `SELECT product_id, category, score, as_of, views, add_to_carts, purchases FROM ${SET.tables.popularity}`,
  );
  const affinity = await database.query<{ user_id: string; as_of: Date; scores: Record<string, number> }>(
    `SELECT user_id, as_of, scores FROM ${SET.tables.affinity}`,
  );
  return [
    ...popularity.map(
      ({ product_id, as_of, ...rest }): Answer => ({
        source: 'postgres',
        kind: 'popularity',
        id: product_id,
        as_of: as_of.getTime(),
        ...rest,
      }),
    ),
    ...affinity.map(
      ({ user_id, as_of, scores }): Answer => ({
        source: 'postgres',
        kind: 'affinity',
        id: user_id,
        as_of: as_of.getTime(),
        scores,
      }),
    ),
  ];
}

async function get(url: string): Promise<object | null> {
  const answer = await fetch(url);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as object;
}

async function inParallel<T, R>(values: readonly T[], work: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(values.length);
  let next = 0;
  const worker = async () => {
    while (next < values.length) {
      const i = next++;
      results[i] = await work(values[i]!);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
