/** Products as producers described them, for lists that show more than ids. */
import type { Queryable } from '../../runtime/stores/database.js';

export interface CatalogueProduct {
  readonly productId: string;
  readonly title: string;
  readonly description: string;
  readonly category: string;
  readonly price: number | null;
  /** ms. */
  readonly updatedAt: number;
}

const BY_ID = `SELECT product_id, title, description, category, price, updated_at
  FROM catalogue WHERE product_id = ANY($1)`;

interface Row {
  readonly product_id: string;
  readonly title: string;
  readonly description: string;
  readonly category: string;
  readonly price: number | null;
  readonly updated_at: Date;
}

/** By id; products that the catalogue does not have are absent. One query for any number of ids. */
export async function productsOf(
  database: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, CatalogueProduct>> {
  const asked = storable(ids);
  if (asked.length === 0) return new Map();
  const rows = await database.query<Row>(BY_ID, [asked]);
  return new Map(
    rows.map(({ product_id: productId, updated_at, ...rest }) => [
      productId,
      { productId, ...rest, updatedAt: updated_at.getTime() },
    ]),
  );
}

/** Each once, without those that no row can have: a NUL in a parameter is an error in Postgres. */
export function storable(ids: readonly string[]): string[] {
  return [...new Set(ids)].filter((id) => !id.includes('\0'));
}
