/** The events in the shop during the 90 days before it opened. */
import type { Event } from '../../schemas/records.js';
import { DAY_MS, HOUR_MS } from '../../topics/time.js';
import { Market } from './demand.js';
import { Random, WeightedIndex } from './random.js';
import { planSpotlitVisit, planVisit } from './session.js';
import type { Shop } from './shop.js';

const DAYS = 90;
/** Visits on an average day; a visit produces about four events. */
const VISITS_PER_DAY = 490;
/** Sunday first. */
const WEEKDAYS = [1.16, 1.04, 0.98, 0.96, 0.97, 0.9, 1.02] as const;
/** Visits per hour (UTC) on working days: a small peak at lunch, a large one in the evening. */
const HOURS = [3, 2, 1, 1, 1, 2, 5, 9, 12, 13, 13, 14, 17, 16, 13, 12, 13, 15, 19, 24, 27, 25, 17, 8] as const;
/** At weekends people sleep longer and shop through the afternoon. */
const WEEKEND_HOURS = [5, 3, 2, 1, 1, 1, 2, 4, 9, 15, 20, 22, 21, 21, 22, 22, 21, 19, 18, 20, 22, 20, 14, 8] as const;
/** Some producers leave the category out; the catalogue knows it. */
export const WITHOUT_CATEGORY = 0.05;

interface Happening {
  readonly ts: number;
  readonly shopper: number;
  readonly product: number;
  readonly type: Event['event_type'];
}

/** Prefix of the ids of one shop's history; a number in base 36 follows, counting up from 0. */
export function historyIdPrefix(seed: number, nowMs: number): string {
  return `demo-h${seed}-${nowMs.toString(36)}-`;
}

/** Splits an id of a history event; null for any other id. */
export function parseHistoryId(id: string): { seed: number; nowMs: number; index: number } | null {
  const match = /^demo-h(\d+)-([0-9a-z]+)-([0-9a-z]+)$/.exec(id);
  if (match === null) return null;
  return { seed: Number(match[1]), nowMs: Number.parseInt(match[2]!, 36), index: Number.parseInt(match[3]!, 36) };
}

/**
 * The events of the last 90 UTC days up to `shop.nowMs`, oldest first. The first day is the window's first: shortly
 * before midnight it is the next one, so that nothing is late while it is being loaded.
 */
export function* history(shop: Shop): Generator<Event, void, undefined> {
  const random = new Random(shop.seed, 'history');
  const prefix = historyIdPrefix(shop.seed, shop.nowMs);
  const visitors = new WeightedIndex(shop.shoppers.map(({ activity }) => activity));
  const prices = shop.products.map(({ price }) => price ?? 0);
  const firstMs = startOfDay(shop.nowMs + HOUR_MS) - (DAYS - 1) * DAY_MS;
  let index = 0;
  let ahead: Happening[] = [];
  for (let dayMs = firstMs; dayMs <= shop.nowMs; dayMs += DAY_MS) {
    const happenings = [...ahead, ...visitsOf(dayMs)].sort((a, b) => a.ts - b.ts);
    const end = Math.min(dayMs + DAY_MS, shop.nowMs + 1);
    const today = happenings.filter(({ ts }) => ts < end);
    ahead = happenings.filter(({ ts }) => ts >= end);
    for (const { ts, shopper, product, type } of today) {
      yield {
        event_id: prefix + (index++).toString(36),
        user_id: shop.shoppers[shopper]!.user.user_id,
        product_id: shop.products[product]!.product_id,
        category: random.chance(WITHOUT_CATEGORY) ? null : shop.products[product]!.category,
        event_type: type,
        ts,
      };
    }
  }

  function visitsOf(dayMs: number): Happening[] {
    const market = new Market(shop.demand, dayMs + DAY_MS / 2);
    const weekday = new Date(dayMs).getUTCDay();
    const hours = new WeightedIndex(weekday === 0 || weekday === 6 ? WEEKEND_HOURS : HOURS);
    const growth = 0.85 + (0.3 * (dayMs - firstMs)) / (DAYS * DAY_MS);
    const visits = random.poisson(VISITS_PER_DAY * WEEKDAYS[weekday]! * growth * random.between(0.92, 1.08));
    const happenings: Happening[] = [];
    for (let i = 0; i < visits; i++) {
      let ts = dayMs + Math.floor((hours.draw(random) + random.next()) * HOUR_MS);
      const shopper = visitors.draw(random);
      const visitor = shop.shoppers[shopper]!;
      const viral = market.viral(random);
      const steps =
        viral === null ? planVisit(market, random, visitor, prices) : planSpotlitVisit(random, visitor, viral);
      for (const { product, type, gapMs } of steps) {
        ts += gapMs;
        happenings.push({ ts, shopper, product, type });
      }
    }
    return happenings;
  }
}

function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}
