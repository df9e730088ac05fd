/** Answers of models: recommendations, similar products, search. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Tenants } from '../access/tenants.js';
import { READ_MS_MAX } from '../limits.js';
import { servingMetrics } from '../metrics.js';
import type { ModelAnswer, ModelAnswers } from '../models/answers.js';
import type { FeatureReaders } from '../ports.js';
import { Problem } from '../problem.js';
import { access, described } from './declare.js';
import { idOf } from './ids.js';
import { type IncludeQuery, include, withProducts } from './products.js';
import { count, parameters, pathId, text } from './schema.js';
import { answers, json } from './shapes.js';

interface ModelRoutes {
  readonly models: ModelAnswers;
  readonly readers: Pick<FeatureReaders, 'catalogue'>;
  readonly tenants: Tenants;
  readonly metrics: Metrics;
}

const QUERY_LENGTH_MAX = 512;
const limit = count(1, 1000, 20, 'Maximum number of items.');

export function addModelRoutes(app: FastifyInstance, { models, readers, tenants, metrics }: ModelRoutes): void {
  const read = { config: access('read'), handlerTimeout: READ_MS_MAX };
  const answered = async (
    request: FastifyRequest<{ Querystring: IncludeQuery }>,
    reply: FastifyReply,
    answer: ModelAnswer,
  ) => {
    const reads = Object.entries(answer.reads);
    for (const [artefact, version] of reads) servingMetrics(metrics).reads.inc({ artefact, version: String(version) });
    void reply.header('x-versions', reads.map(([artefact, version]) => `${artefact}=${version}`).join(', '));
    const { version, fallback, unknownWords } = answer;
    const items = await withProducts(readers, answer.items, request.query);
    return {
      request_id: request.id,
      version,
      items,
      ...(fallback === undefined ? {} : { fallback }),
      ...(unknownWords === undefined ? {} : { unknown_words: unknownWords }),
    };
  };

  app.get<{ Params: { id: string }; Querystring: { limit: number; include_seen: boolean } & IncludeQuery }>(
    '/v1/users/:id/recommendations',
    {
      ...read,
      schema: described(
        {
          operationId: 'recommendations',
          tag: 'features',
          summary: 'Products for a user, best first, without those the user has bought.',
          description:
            'Scores are inner products of factors, comparable within one user. A user who is unknown, or has no factors yet, gets popular products with their popularity, marked "fallback"; so does every user while the model is unavailable.',
        },
        {
          params: pathId('id', 'The user_id'),
          querystring: parameters({
            limit,
            include,
            include_seen: { type: 'boolean', default: false, description: 'Include products that the user bought.' },
          }),
          response: answers({ 200: json('Recommendations', 'Never a 404 for an unknown user.') }, [400]),
        },
      ),
    },
    async (request, reply) => {
      const userId = idOf('id', request.params.id);
      await tenants.requireVisible(request.principal, userId);
      const { limit: most, include_seen: includeSeen } = request.query;
      return answered(request, reply, await models.recommendations(userId, most, includeSeen));
    },
  );

  app.get<{ Params: { id: string }; Querystring: { limit: number } & IncludeQuery }>(
    '/v1/products/:id/similar',
    {
      ...read,
      schema: described(
        {
          operationId: 'similar',
          tag: 'features',
          summary: 'Products like this one, nearest first, without itself.',
          description:
            'Half by text, half by behaviour: the average of the cosines of both models, negative ones counted as 0. A product that only one model knows is compared by that model.',
        },
        {
          params: pathId('id', 'The product_id'),
          querystring: parameters({ limit, include }),
          response: answers({ 200: json('ModelItems', 'Scores are 0 to 1.') }, [400, 404]),
        },
      ),
    },
    async (request, reply) => {
      const productId = idOf('id', request.params.id);
      const found = await models.similar(productId, request.query.limit);
      if (found === null)
        throw new Problem(
          404,
          `No model knows product ${JSON.stringify(productId)}: it has neither a text nor enough events, or it is newer than the models.`,
        );
      return answered(request, reply, found);
    },
  );

  app.get<{ Querystring: { q: string; limit: number } & IncludeQuery }>(
    '/v1/search',
    {
      ...read,
      schema: described(
        {
          operationId: 'search',
          tag: 'features',
          summary: 'Products that match a query, best first.',
          description:
            'Words of title, category and description (BM25, stemmed, typing errors forgiven), fused with the nearness of the texts and with popularity: 0.7 · words + 0.2 · cosine + 0.1 · popularity, 1 for an exact title. Words that no product has are named.',
        },
        {
          querystring: parameters(
            {
              q: { ...text, minLength: 1, maxLength: QUERY_LENGTH_MAX, description: 'Words to find.' },
              limit,
              include,
            },
            ['q'],
          ),
          response: answers({ 200: json('Found', 'Scores are 0 to 1.') }, [400]),
        },
      ),
    },
    async (request, reply) => {
      const query = request.query.q.trim();
      if (query === '') throw new Problem(400, 'Query parameter "q" is empty: give at least one word.');
      return answered(request, reply, await models.search(query, request.query.limit));
    },
  );
}
