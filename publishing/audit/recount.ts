/**
 * Counts a few products again, exactly: the first pass over the log collects the ids of their events, the second judges
 * every record that carries one of these ids, whichever product it is for.
 */
import { Fold, type FoldOptions } from './fold.js';
import { KeptEvents } from './kept-events.js';
import { identityOf, type RawRecord } from './reference.js';

const UNBOUNDED = { share: 1, salt: '', keysMax: Number.POSITIVE_INFINITY, eventsMax: Number.POSITIVE_INFINITY };

/** Corrects what `fold` has kept for the products, as far as it has read. */
export async function recount(
  fold: Fold,
  products: ReadonlySet<string>,
  options: Omit<FoldOptions, 'users' | 'products' | 'isRelevant'>,
  signal?: AbortSignal,
): Promise<void> {
  const ids = new Set<string>();
  const isKnown = ({ partition, value }: RawRecord): boolean => {
    if (value === null) return false;
    const id = `${partition}${identityOf(value)}`;
    if (products.has(value.product_id)) ids.add(id);
    return ids.has(id);
  };
  const users = new KeptEvents('users', UNBOUNDED, new Set());
  const read = async (isRelevant: (record: RawRecord) => boolean) => {
    const exact = new Fold({
      ...options,
      users,
      products: new KeptEvents('products', UNBOUNDED, products),
      isRelevant,
    });
    try {
      await exact.catchUp(signal);
    } finally {
      await exact.close();
    }
    return exact.products;
  };
  await read((record) => {
    isKnown(record);
    return false;
  });
  const exact = await read(isKnown);
  for (const product of products) {
    const counted = exact.of(product).filter(({ partition, offset }) => offset < fold.next[partition]!);
    fold.products.replace(product, counted);
  }
}
