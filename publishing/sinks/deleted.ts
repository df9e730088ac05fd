/**
 * Products that were deleted, in the online store: a version of a model that was made before still holds them and is
 * immutable, so its readers pass over them.
 *
 * One hash, with a field of the id for every product that was deleted and not put again: as many as the catalogue has
 * ever lost, and no more. It is never emptied by age, because `products` lets go of deletions in time and a version may
 * be older than that; for the same reason what a rebuild does not meet stays noted: it is not in the catalogue either.
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
