/** Products with what the catalogue says of them: one of them, or as part of a list. */
import type { FastifyInstance } from 'fastify';
import type { CatalogueProduct } from '../../publishing/reading/catalogue-reader.js';
import { READ_MS_MAX } from '../limits.js';
import type { FeatureReaders } from '../ports.js';
import { Problem } from '../problem.js';
import { access, described, iso } from './declare.js';
import { idOf } from './ids.js';
import { pathId, type Schema } from './schema.js';
import { answers, json } from './shapes.js';

type Catalogue = Pick<FeatureReaders, 'catalogue'>;

/** The query parameter of lists. */
export interface IncludeQuery {
  readonly include?: 'product';
}

export const include: Schema = {
  type: 'string',
  enum: ['product'],
  description: 'product: title, category and price of each item, null where the catalogue does not have it.',
};

/** The items, each with its product if the query asks for it. One query of the catalogue for all. */
export async function withProducts<T extends { readonly product_id: string }>(
  readers: Catalogue,
  items: readonly T[],
  query: IncludeQuery,
): Promise<readonly (T & { product?: ReturnType<typeof inShort> | null })[]> {
  if (query.include === undefined) return items;
  const products = await readers.catalogue(items.map(({ product_id }) => product_id));
  return items.map((item) => {
    const product = products.get(item.product_id);
    return { ...item, product: product === undefined ? null : inShort(product) };
  });
}

export function inShort({ title, category, price }: CatalogueProduct) {
  return { title, category, price };
}

export function addProductRoutes(app: FastifyInstance, { readers }: { readonly readers: Catalogue }): void {
  app.get<{ Params: { id: string } }>(
    '/v1/products/:id',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'product', tag: 'features', summary: 'A product as the catalogue has it.' },
        {
          params: pathId('id', 'The product_id'),
          response: answers({ 200: json('CatalogueProduct', 'As last written.') }, [400, 404]),
        },
      ),
    },
    async (request) => {
      const id = idOf('id', request.params.id);
      const found = (await readers.catalogue([id])).get(id);
      if (found === undefined) throw new Problem(404, `The catalogue has no product ${JSON.stringify(id)}.`);
      const { productId, title, description, category, price, updatedAt } = found;
      return { product_id: productId, title, description, category, price, updated_at: iso(updatedAt) };
    },
  );
}
