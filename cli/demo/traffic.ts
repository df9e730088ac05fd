/**
 * Visits in real time, at a configured rate. Every few minutes one product has its moment, so that rankings visibly
 * move.
 */
import type { Event } from '../../schemas/records.js';
import { HOUR_MS } from '../../topics/time.js';
import { Market } from './demand.js';
import { WITHOUT_CATEGORY } from './history.js';
import { Random, WeightedIndex } from './random.js';
import { planSpotlitVisit, planVisit, type VisitStep } from './session.js';
import type { Shop } from './shop.js';

/** Mean time between two steps of a visit: shorter than in reality, so that whole visits can be watched. */
const STEP_SECONDS = 12;
const VISITS_MIN = 12;
const VISITS_MAX = 5_000;
/** After a longer pause than this (a sleeping laptop), the missed time is skipped, not made up for. */
const CATCH_UP_MS_MAX = 10_000;
const DUPLICATE_CHANCE = 0.005;
/** The peak share of new visits that come for the product having its moment. */
const MOMENT_SHARE_MAX = 0.7;

interface Visit {
  readonly shopper: number;
  readonly steps: readonly VisitStep[];
  at: number;
}

interface Moment {
  readonly product: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** Live traffic of one shop from one moment on. Deterministic in the given times and rates. */
class Traffic {
  readonly #shop: Shop;
  readonly #random: Random;
  readonly #visitors: WeightedIndex;
  readonly #prices: readonly number[];
  readonly #prefix: string;
  readonly #visits: Visit[] = [];
  readonly #repeats: { readonly dueMs: number; readonly event: Event }[] = [];
  #market: Market;
  #moment: Moment;
  #lastMs: number;
  #count = 0;

  constructor(shop: Shop, fromMs: number) {
    this.#shop = shop;
    this.#random = new Random(shop.seed, `traffic/${fromMs}`);
    this.#visitors = new WeightedIndex(shop.shoppers.map(({ activity }) => activity));
    this.#prices = shop.products.map(({ price }) => price ?? 0);
    this.#prefix = `demo-t${shop.seed}-${fromMs.toString(36)}-`;
    this.#market = new Market(shop.demand, fromMs);
    this.#lastMs = fromMs;
    this.#moment = this.#momentFrom(fromMs + this.#random.between(10_000, 20_000));
  }

  /** Events that happened since the last call, oldest first; `ratePerSecond` on average, plus about 0.5 % sent twice. */
  next(nowMs: number, ratePerSecond: number): Event[] {
    const fromMs = Math.max(this.#lastMs, nowMs - CATCH_UP_MS_MAX);
    if (nowMs <= fromMs) return [];
    this.#lastMs = nowMs;
    if (nowMs - this.#market.atMs > HOUR_MS) this.#market = new Market(this.#shop.demand, nowMs);
    if (nowMs > this.#moment.endMs) this.#moment = this.#momentFrom(nowMs + this.#random.between(60_000, 180_000));
    const visits = Math.min(VISITS_MAX, Math.max(VISITS_MIN, Math.ceil(ratePerSecond * STEP_SECONDS)));
    while (this.#visits.length < visits) this.#visits.push(this.#visitUnderWay(nowMs));
    const due = this.#random.poisson((ratePerSecond * (nowMs - fromMs)) / 1000);
    const times = Array.from({ length: due }, () => Math.floor(this.#random.between(fromMs, nowMs)) + 1).sort(
      (a, b) => a - b,
    );
    const events = times.map((ts) => this.#step(ts, visits));
    return [...this.#repeatsUntil(nowMs), ...events];
  }

  #step(ts: number, visitsWanted: number): Event {
    const slot = this.#random.integer(this.#visits.length);
    const visit = this.#visits[slot]!;
    const { product, type } = visit.steps[visit.at++]!;
    if (visit.at === visit.steps.length) {
      if (this.#visits.length > visitsWanted) this.#visits.splice(slot, 1);
      else this.#visits[slot] = this.#newVisit(ts);
    }
    const { product_id, category } = this.#shop.products[product]!;
    const event: Event = {
      event_id: this.#prefix + (this.#count++).toString(36),
      user_id: this.#shop.shoppers[visit.shopper]!.user.user_id,
      product_id,
      category: this.#random.chance(WITHOUT_CATEGORY) ? null : category,
      event_type: type,
      ts,
    };
    if (this.#random.chance(DUPLICATE_CHANCE)) {
      this.#repeats.push({ dueMs: ts + this.#random.between(200, 20_000), event });
    }
    return event;
  }

  #newVisit(atMs: number): Visit {
    const shopper = this.#visitors.draw(this.#random);
    const visitor = this.#shop.shoppers[shopper]!;
    const spotlit = this.#random.chance(this.#momentShare(atMs))
      ? this.#moment.product
      : this.#market.viral(this.#random);
    const steps =
      spotlit === null
        ? planVisit(this.#market, this.#random, visitor, this.#prices)
        : planSpotlitVisit(this.#random, visitor, spotlit);
    return { shopper, steps, at: 0 };
  }

  /** Somewhere in the middle of a visit: traffic that begins only with first views would not look like a shop's. */
  #visitUnderWay(atMs: number): Visit {
    const visit = this.#newVisit(atMs);
    visit.at = this.#random.integer(visit.steps.length);
    return visit;
  }

  #momentFrom(startMs: number): Moment {
    const taste = new Float64Array(this.#shop.categories.length).fill(1);
    const category = this.#market.category(this.#random, taste);
    return {
      product: this.#market.product(this.#random, category),
      startMs,
      endMs: startMs + this.#random.between(90_000, 180_000),
    };
  }

  #momentShare(atMs: number): number {
    const { startMs, endMs } = this.#moment;
    if (atMs < startMs || atMs > endMs) return 0;
    return MOMENT_SHARE_MAX * Math.sin((Math.PI * (atMs - startMs)) / (endMs - startMs)) ** 2;
  }

  #repeatsUntil(nowMs: number): Event[] {
    const due = this.#repeats.filter(({ dueMs }) => dueMs <= nowMs).map(({ event }) => event);
    if (due.length > 0) {
      const later = this.#repeats.filter(({ dueMs }) => dueMs > nowMs);
      this.#repeats.splice(0, this.#repeats.length, ...later);
    }
    return due;
  }
}

/** Live traffic that begins at `fromMs`. */
export function traffic(shop: Shop, fromMs: number): Traffic {
  return new Traffic(shop, fromMs);
}
