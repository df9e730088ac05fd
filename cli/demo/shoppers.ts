/** The shoppers: how often each of them shops, for what, and how readily they buy. */
import type { User } from '../../schemas/records.js';
import { DAY_MS } from '../../topics/time.js';
import { Random } from './random.js';

const SHOPPERS = 2400;
const ACTIVE_SHARE = 0.96;
const ACCOUNTS_WITHIN_DAYS = 1100;

/** Storefronts that share the catalogue. */
export const TENANTS = ['harbour', 'meadow', 'summit'] as const;
const TENANT_SHARES = [0.6, 0.28, 0.12] as const;

export interface Shopper {
  readonly user: User;
  /** How often, relative to others; 0 for a deactivated account. */
  readonly activity: number;
  /** Preference per category, in the catalogue's order of categories; adds up to 1. */
  readonly taste: Float64Array;
  /** Multiplies the chance that a viewed product goes into the cart. */
  readonly eagerness: number;
}

/** Users u-000001 onwards. */
export function createShoppers(seed: number, nowMs: number, categories: number): Shopper[] {
  const random = new Random(seed, 'shoppers');
  return Array.from({ length: SHOPPERS }, (_, index) => {
    const active = random.chance(ACTIVE_SHARE);
    const user: User = {
      user_id: `u-${String(index + 1).padStart(6, '0')}`,
      tenant_id: tenantOf(random.next()),
      active,
      updated_at: nowMs - random.integer(ACCOUNTS_WITHIN_DAYS * DAY_MS),
    };
    // A log-normal spread: a tenth of the shoppers makes about a third of the sessions, as in real shops.
    const activity = Math.exp(0.8 * random.normal());
    const taste = tasteOf(random, categories);
    return { user, activity: active ? activity : 0, taste, eagerness: Math.exp(0.4 * random.normal()) };
  });
}

function tenantOf(draw: number): string {
  let below = 0;
  for (const [index, share] of TENANT_SHARES.entries()) {
    below += share;
    if (draw < below) return TENANTS[index]!;
  }
  return TENANTS[0];
}

/** Two to four favourites take most of it, everything else gets a little. */
function tasteOf(random: Random, categories: number): Float64Array {
  const taste = new Float64Array(categories).fill(0.012);
  const favourites = 2 + random.integer(3);
  for (let i = 0; i < favourites; i++) taste[random.integer(categories)]! += random.exponential(1) / (i + 1);
  const sum = taste.reduce((total, weight) => total + weight, 0);
  return taste.map((weight) => weight / sum);
}
