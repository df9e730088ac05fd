/** Published features: popular products, one product's popularity, one user's affinity. */
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../../runtime/process/metrics.js';
import { type Tenants, unknownUser } from '../access/tenants.js';
import { READ_MS_MAX } from '../limits.js';
import { servingMetrics } from '../metrics.js';
import type { FeatureReaders } from '../ports.js';
import { Problem } from '../problem.js';
import { access, described, iso } from './declare.js';
import { idOf } from './ids.js';
import { type IncludeQuery, include, withProducts } from './products.js';
import { count, id, parameters, pathId } from './schema.js';
import { answers, json } from './shapes.js';

interface FeatureRoutes {
  readonly readers: FeatureReaders;
  readonly tenants: Tenants;
  readonly metrics: Metrics;
}

export function addFeatureRoutes(app: FastifyInstance, { readers, tenants, metrics }: FeatureRoutes): void {
  const read = { config: access('read'), handlerTimeout: READ_MS_MAX };
  const counted = <T extends { version: number }>(artefact: string, answer: T): T => {
    servingMetrics(metrics).reads.inc({ artefact, version: String(answer.version) });
    return answer;
  };

  app.get<{ Querystring: { category?: string; limit: number } & IncludeQuery }>(
    '/v1/popular',
    {
      ...read,
      schema: described(
        { operationId: 'popular', tag: 'features', summary: 'The most popular products, best first.' },
        {
          querystring: parameters({
            category: { ...id, description: 'Only products of this category.' },
            limit: count(1, 1000, 20, 'Maximum number of items.'),
            include,
          }),
          response: answers({ 200: json('Popular', 'Scores as of the moment of the answer.') }, [400]),
        },
      ),
    },
    async (request) => {
      const { category, limit } = request.query;
      const chosen = category === undefined ? null : idOf('category', category);
      const list = counted('popularity', await readers.popular(chosen, limit));
      const items = list.items.map(({ productId, score, category, asOf }) => ({
        product_id: productId,
        score,
        category,
        ...(asOf === undefined ? {} : { as_of: iso(asOf) }),
      }));
      return { as_of: iso(list.asOf), version: list.version, items: await withProducts(readers, items, request.query) };
    },
  );

  app.get<{ Params: { id: string } }>(
    '/v1/products/:id/popularity',
    {
      ...read,
      schema: described(
        { operationId: 'productPopularity', tag: 'features', summary: 'Popularity of one product, with its counts.' },
        {
          params: pathId('id', 'The product_id'),
          response: answers({ 200: json('ProductPopularity', 'The score, and the time it is valid for.') }, [400, 404]),
        },
      ),
    },
    async (request) => {
      const productId = idOf('id', request.params.id);
      const found = await readers.popularity(productId);
      if (found === null)
        throw new Problem(
          404,
          `There is no popularity of product ${JSON.stringify(productId)}: no event of the last 90 days counts.`,
        );
      const { score, asOf, version, views, addToCarts, purchases } = counted('popularity', found);
      return {
        product_id: found.productId,
        score,
        as_of: iso(asOf),
        version,
        views,
        add_to_carts: addToCarts,
        purchases,
      };
    },
  );

  app.get<{ Params: { id: string } }>(
    '/v1/users/:id/affinity',
    {
      ...read,
      schema: described(
        { operationId: 'userAffinity', tag: 'features', summary: 'Interests of a user, by category.' },
        {
          params: pathId('id', 'The user_id'),
          response: answers({ 200: json('UserAffinity', 'Shares of interest.') }, [400, 404]),
        },
      ),
    },
    async (request) => {
      const userId = idOf('id', request.params.id);
      await tenants.requireVisible(request.principal, userId);
      const found = await readers.affinity(userId);
      if (found === null) throw unknownUser(userId);
      const { asOf, version, scores } = counted('affinity', found);
      return { user_id: found.userId, as_of: iso(asOf), version, scores };
    },
  );
}
