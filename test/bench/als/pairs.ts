/** Pairs for benches: synthetic ones with structure, and MovieLens 100 K. */
import { Interner } from '../../../runtime/tasks/state/interner.js';
import { PairStore, pairList } from '../../../snapshotters/als/pair-store.js';
import type { Captured } from '../../../snapshotters/als/selection.js';
import { fetchMovieLens } from '../../support/movielens/fetch.js';
import { eventsOf, parseFilms, parseRatings } from '../../support/movielens/ratings.js';
import { Random, Zipf } from '../../support/random.js';

const PER_GROUP = 100;
const TASTES = 3;
/** Share of a user's actions that is common to all users. */
const COMMON_SHARE = 0.25;
const USER_PAIRS_MAX = 1_000;
const USER_PAIRS_MIN = 5;
/** Spread of the users' numbers of pairs, as in a log-normal distribution. */
const ACTIVITY_SPREAD = 0.8;
const DAY_MS = 86_400_000;
const HALF_LIFE_MS = 30 * DAY_MS;
const EVENT_WEIGHTS = { view: 1, add_to_cart: 2, purchase: 3 } as const;

interface Names {
  userId(i: number): string;
  productId(i: number): string;
}

/**
 * Products are in groups of 100, with popular ones in each; a user has three tastes, and a quarter of a user's actions
 * is common to all users. A user's last pair is random.
 */
export function madeUp(
  seed: number,
  users: number,
  products: number,
  pairs: number,
  { userId, productId }: Names = { userId: (i) => `user-${i}`, productId: (i) => `product-${i}` },
): Captured {
  const random = new Random(seed);
  const captured = { users: new Interner(users), products: new Interner(products), pairs: new PairStore() };
  const perGroup = Math.min(PER_GROUP, products);
  const groups = new Zipf(Math.floor(products / perGroup), 0.6);
  const inGroup = new Zipf(perGroup, 0.8);
  const common = new Zipf(products, 0.9);
  // Common favourites can be anywhere.
  const place = Uint32Array.from({ length: products }, (_, i) => i);
  for (let i = products - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [place[i], place[j]] = [place[j]!, place[i]!];
  }
  for (let product = 0; product < products; product++) captured.products.intern(Buffer.from(productId(product)));
  const list = pairList();
  const position = new Int32Array(products).fill(-1);
  const mean = pairs / users;
  for (let user = 0; user < users; user++) {
    const normal = Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit());
    const wanted = Math.round(mean * Math.exp(ACTIVITY_SPREAD * normal - ACTIVITY_SPREAD ** 2 / 2));
    const length = Math.max(USER_PAIRS_MIN, Math.min(USER_PAIRS_MAX, products, wanted));
    const tastes = Array.from({ length: TASTES }, () => groups.draw(random));
    list.length = 0;
    for (let tries = 0; list.length < length && tries < 8 * length; tries++) {
      const isCommon = random.unit() < COMMON_SHARE;
      const own = () => tastes[random.below(TASTES)]! * perGroup + inGroup.draw(random);
      const product = isCommon ? place[common.draw(random)]! : own();
      const weight = random.unit() < 0.2 ? 3 : 1;
      if (position[product]! < 0) {
        position[product] = list.length;
        list.products[list.length] = product;
        list.weights[list.length] = 0;
        list.counts[list.length++] = 5;
      }
      list.weights[position[product]!]! += weight;
    }
    for (let i = 0; i < list.length; i++) position[list.products[i]!] = -1;
    swap(random.below(list.length), list.length - 1);
    captured.pairs.write(captured.users.intern(Buffer.from(userId(user))), list);
  }
  return captured;

  function swap(a: number, b: number): void {
    [list.products[a], list.products[b]] = [list.products[b]!, list.products[a]!];
    [list.weights[a], list.weights[b]] = [list.weights[b]!, list.weights[a]!];
  }
}

/** Ratings as a shop's events of 90 days, and interactions from these events. */
export async function movieLens(): Promise<Captured> {
  const files = await fetchMovieLens();
  const nowMs = 90 * DAY_MS;
  const events = eventsOf(parseRatings(files.ratings), parseFilms(files.films), nowMs);
  const byUser = new Map<string, Map<string, { weight: number; ts: number }>>();
  for (const { user_id, product_id, event_type, ts } of events) {
    const own = byUser.get(user_id) ?? new Map<string, { weight: number; ts: number }>();
    byUser.set(user_id, own);
    // Some events occur twice, as from a producer that got no answer: each counts once.
    own.set(product_id, { weight: EVENT_WEIGHTS[event_type] * 2 ** (-(nowMs - ts) / HALF_LIFE_MS), ts });
  }
  const captured = { users: new Interner(), products: new Interner(), pairs: new PairStore() };
  const list = pairList();
  for (const [user, products] of byUser) {
    list.length = 0;
    const oldestFirst = [...products].sort(([a, { ts: at }], [b, { ts: bt }]) => at - bt || (a < b ? -1 : 1));
    for (const [product, { weight }] of oldestFirst) {
      list.products[list.length] = captured.products.intern(Buffer.from(product));
      list.weights[list.length] = weight;
      list.counts[list.length++] = 1;
    }
    captured.pairs.write(captured.users.intern(Buffer.from(user)), list);
  }
  return captured;
}
