/** One visit: views, some of which lead to the cart, some of which lead to a purchase. */
import type { EventType } from '../../schemas/records.js';
import type { Market } from './demand.js';
import type { Random } from './random.js';
import type { Shopper } from './shoppers.js';

export interface VisitStep {
  /** Index in the catalogue. */
  readonly product: number;
  readonly type: EventType;
  /** Time since the previous step; 0 for the first. */
  readonly gapMs: number;
}

const VIEWS_MAX = 24;
const BOUNCE = 0.3;
/** Chance of another view after each view. */
const GO_ON = 0.79;
const STAY_IN_CATEGORY = 0.8;
const TO_CART = 0.085;
const TO_CART_SPOTLIT = 0.16;
const CHECK_OUT = 0.42;

/** A visit led by taste and season. `prices` are indexed as in the catalogue. */
export function planVisit(market: Market, random: Random, shopper: Shopper, prices: readonly number[]): VisitStep[] {
  const steps: VisitStep[] = [];
  const cart = new Set<number>();
  let category = market.category(random, shopper.taste);
  for (let views = 1; ; views++) {
    const product = market.product(random, category);
    view(steps, cart, random, product, TO_CART * shopper.eagerness * ease(prices[product]!));
    if (views === 1 ? random.chance(BOUNCE) : !random.chance(GO_ON) || views >= VIEWS_MAX) break;
    if (!random.chance(STAY_IN_CATEGORY)) category = market.category(random, shopper.taste);
  }
  checkOut(steps, cart, random);
  return steps;
}

/** A visit by a customer who came for one product only. */
export function planSpotlitVisit(random: Random, shopper: Shopper, product: number): VisitStep[] {
  const steps: VisitStep[] = [];
  const cart = new Set<number>();
  view(steps, cart, random, product, TO_CART_SPOTLIT * shopper.eagerness);
  if (random.chance(0.3)) view(steps, cart, random, product, TO_CART_SPOTLIT * shopper.eagerness);
  checkOut(steps, cart, random);
  return steps;
}

/** Expensive products are bought less readily: 1 at 30 euros, about 0.6 at 300. */
function ease(price: number): number {
  return (30 / Math.max(5, price)) ** 0.22;
}

function view(steps: VisitStep[], cart: Set<number>, random: Random, product: number, toCart: number): void {
  steps.push({ product, type: 'view', gapMs: steps.length === 0 ? 0 : pause(random, 3_000, 25_000) });
  if (cart.has(product) || !random.chance(toCart)) return;
  cart.add(product);
  steps.push({ product, type: 'add_to_cart', gapMs: pause(random, 4_000, 15_000) });
}

/** Either all of the cart is bought or nothing. */
function checkOut(steps: VisitStep[], cart: Set<number>, random: Random): void {
  if (cart.size === 0 || !random.chance(CHECK_OUT)) return;
  let gapMs = pause(random, 20_000, 40_000);
  for (const product of cart) {
    steps.push({ product, type: 'purchase', gapMs });
    gapMs = 1;
  }
}

function pause(random: Random, leastMs: number, meanMoreMs: number): number {
  return Math.round(leastMs + random.exponential(meanMoreMs));
}
