/** The demand for each product at a moment: its base, its life cycle, its category's season, and viral launches. */
import type { Product } from '../../schemas/records.js';
import { DAY_MS } from '../../topics/time.js';
import { Random, WeightedIndex } from './random.js';
import { categories } from './vocabulary/all.js';

/** A product's life: always there, new within the history, or fading out. Times in ms. */
type Life =
  | { readonly kind: 'steady' }
  | { readonly kind: 'new'; readonly launchedMs: number }
  | { readonly kind: 'fading'; readonly sinceMs: number };

interface Wanted {
  /** Index of its category. */
  readonly category: number;
  readonly base: number;
  readonly life: Life;
}

/** A launch that spreads by itself: its share of all sessions rises along an S-curve. */
interface ViralLaunch {
  readonly product: number;
  readonly halfWayMs: number;
  readonly riseMs: number;
  readonly shareMax: number;
}

export interface Demand {
  readonly wanted: readonly Wanted[];
  readonly viral: readonly ViralLaunch[];
}

const VIRAL_LAUNCHES = 6;
const NEW_SHARE = 0.2;
const FADING_SHARE = 0.12;

/** `products` in the catalogue's order. */
export function createDemand(seed: number, nowMs: number, products: readonly Product[]): Demand {
  const random = new Random(seed, 'demand');
  const indexOf = new Map(categories.map(({ id }, index) => [id, index]));
  const ranks = rankWithinCategory(random, products);
  const wanted = products.map((product, index) => ({
    category: indexOf.get(product.category)!,
    base: Math.exp(0.25 * random.normal()) / (ranks[index]! + 4) ** 0.8,
    life: lifeOf(random, nowMs),
  }));
  const viral = random
    .shuffled(products.map((_, index) => index))
    .slice(0, VIRAL_LAUNCHES)
    .map((product) => ({
      product,
      halfWayMs: nowMs - random.between(1, 4) * DAY_MS,
      riseMs: random.between(0.2, 0.6) * DAY_MS,
      shareMax: random.between(0.03, 0.09),
    }));
  for (const launch of viral) {
    const launchedMs = launch.halfWayMs - 6 * launch.riseMs;
    wanted[launch.product] = { ...wanted[launch.product]!, life: { kind: 'new', launchedMs } };
  }
  return { wanted, viral };
}

/** 0 for the favourite of its category, 1 for the next, and so on. */
function rankWithinCategory(random: Random, products: readonly Product[]): number[] {
  const counts = new Map<string, number>();
  const ranks = new Array<number>(products.length).fill(0);
  for (const index of random.shuffled(products.map((_, i) => i))) {
    const { category } = products[index]!;
    const rank = counts.get(category) ?? 0;
    ranks[index] = rank;
    counts.set(category, rank + 1);
  }
  return ranks;
}

function lifeOf(random: Random, nowMs: number): Life {
  const draw = random.next();
  if (draw < NEW_SHARE) return { kind: 'new', launchedMs: nowMs - random.between(4, 80) * DAY_MS };
  if (draw < NEW_SHARE + FADING_SHARE) return { kind: 'fading', sinceMs: nowMs - random.between(5, 70) * DAY_MS };
  return { kind: 'steady' };
}

/** Nothing before a launch, a curious crowd after it, then everyday demand; a fading one halves every 12 days. */
function lifeFactor(life: Life, atMs: number): number {
  switch (life.kind) {
    case 'steady':
      return 1;
    case 'new': {
      const days = (atMs - life.launchedMs) / DAY_MS;
      return days < 0 ? 0 : (1 - Math.exp(-days / 4)) * (1 + 1.5 * Math.exp(-days / 20));
    }
    case 'fading': {
      const days = (atMs - life.sinceMs) / DAY_MS;
      return days < 0 ? 1 : Math.max(0.04, 2 ** (-days / 12));
    }
  }
}

/** Demand of a category over the year, around 1. */
function seasonFactor(category: number, atMs: number): number {
  const { peakDay, swing } = categories[category]!.season;
  const yearStartMs = Date.UTC(new Date(atMs).getUTCFullYear(), 0, 1);
  const day = (atMs - yearStartMs) / DAY_MS + 1;
  return 1 + swing * Math.cos((2 * Math.PI * (day - peakDay)) / 365.25);
}

/** Demand at one moment, ready to draw from. */
export class Market {
  readonly atMs: number;
  readonly #products: readonly WeightedIndex[];
  readonly #members: readonly (readonly number[])[];
  readonly #seasons: readonly number[];
  readonly #viral: readonly { readonly product: number; readonly share: number }[];

  constructor(demand: Demand, atMs: number) {
    this.atMs = atMs;
    const members = categories.map((): number[] => []);
    const weights = categories.map((): number[] => []);
    for (const [index, { category, base, life }] of demand.wanted.entries()) {
      members[category]!.push(index);
      weights[category]!.push(base * lifeFactor(life, atMs));
    }
    this.#members = members;
    this.#products = weights.map((list) => new WeightedIndex(list));
    this.#seasons = categories.map((_, index) => seasonFactor(index, atMs));
    this.#viral = demand.viral.map(({ product, halfWayMs, riseMs, shareMax }) => ({
      product,
      share: shareMax / (1 + Math.exp(-(atMs - halfWayMs) / riseMs)),
    }));
  }

  /** A category according to the shopper's taste and the season. */
  category(random: Random, taste: Float64Array): number {
    let sum = 0;
    for (let i = 0; i < taste.length; i++) sum += taste[i]! * this.#seasons[i]!;
    let target = random.next() * sum;
    for (let i = 0; i < taste.length; i++) {
      target -= taste[i]! * this.#seasons[i]!;
      if (target < 0) return i;
    }
    return taste.length - 1;
  }

  /** A product of the category; returns its index in the catalogue. */
  product(random: Random, category: number): number {
    return this.#members[category]![this.#products[category]!.draw(random)]!;
  }

  /** The viral product that brought a visitor here, or null for everyone else. */
  viral(random: Random): number | null {
    let target = random.next();
    for (const { product, share } of this.#viral) {
      target -= share;
      if (target < 0) return product;
    }
    return null;
  }
}
