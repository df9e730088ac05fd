/**
 * The demo shop: invented, seeded, and believable enough to look at. Everything in it is a function of the seed and of
 * the time of its creation.
 */
import type { Document, Product } from '../../schemas/records.js';
import { createCatalogue } from './catalogue.js';
import { createDemand, type Demand } from './demand.js';
import { createDocuments } from './documents.js';
import { createShoppers, type Shopper, TENANTS } from './shoppers.js';
import { categories } from './vocabulary/all.js';

export interface Shop {
  readonly seed: number;
  /** The moment the history leads up to, ms. */
  readonly nowMs: number;
  readonly tenants: readonly string[];
  readonly categories: readonly string[];
  readonly products: readonly Product[];
  readonly shoppers: readonly Shopper[];
  readonly demand: Demand;
}

/** The same seed and moment give the same shop. */
export function createShop(seed: number, nowMs: number): Shop {
  const products = createCatalogue(seed, nowMs);
  return {
    seed,
    nowMs,
    tenants: TENANTS,
    categories: categories.map(({ id }) => id),
    products,
    shoppers: createShoppers(seed, nowMs, categories.length),
    demand: createDemand(seed, nowMs, products),
  };
}

/** The shop's texts; generated only on demand. */
export function documents(shop: Shop): Document[] {
  return createDocuments(shop.seed, shop.nowMs);
}
