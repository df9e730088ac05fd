/**
 * The catalogue as every task sees it: product → category, read completely from `products` before the first emission.
 * For presentation only: no fold looks anything up here.
 */
import type { RecordColumns } from '../../../runtime/log/log.js';
import { GlobalTable, type GlobalTableOptions } from '../../../runtime/tasks/table.js';
import type { Product } from '../../../schemas/records.js';
import { products } from '../../../topics/events.js';
import { UNKNOWN_CATEGORY } from '../../../topics/limits.js';

export class Catalogue extends GlobalTable<string> {
  constructor(options: Omit<GlobalTableOptions<string>, 'topic' | 'project'>) {
    const interned = new Map<string, string>();
    super({
      ...options,
      topic: products.name,
      project: (batch: RecordColumns, row: number) => {
        const { category } = options.codec.decode(
          'Product',
          batch.bytes,
          batch.valueStart[row]!,
          batch.valueEnd[row]!,
        ) as Product;
        const known = interned.get(category);
        if (known !== undefined) return known;
        interned.set(category, category);
        return category;
      },
    });
  }

  /** The product's category; `unknown` if it never existed, null if it was deleted. */
  categoryOf(productId: string): string | null {
    const category = this.get(productId);
    return category === undefined ? UNKNOWN_CATEGORY : category;
  }
}
