/**
 * Deleted products in the online store: a model version that was built before the deletion still contains them and is
 * immutable, so its readers skip them.
 *
 * One hash, with one field per product that was deleted and not added again: as many as the catalogue has ever lost,
 * and no more. Fields never expire, because `products` drops its deletions in time and a version may be older than
 * that. For the same reason, a field that a rebuild does not see stays: its product is not in the catalogue either.
 */
import type { Product } from '../../schemas/records.js';
import type { Layout } from '../layout.js';
import type { OnlineSink } from './declaration.js';
import { catalogueRows } from './tables.js';

export function deletedOnline(layout: Layout): OnlineSink<Product> {
  const key = layout.deletedProducts();
  return {
    kind: 'online',
    topic: catalogueRows.topic,
    operations: (product, row) => [
      row === null ? { op: 'hset', key, field: product, value: '1' } : { op: 'hdel', key, field: product },
    ],
    keys: async (store) => (await store.hgetall(key)).keys(),
  };
}
