/** Features of many users and products in one request, for rankers that score a whole page at once. */
import type { FastifyInstance } from 'fastify';
import { checkId, Fields } from '../../ingest/fields.js';
import { InputError } from '../../ingest/input-error.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Tenants } from '../access/tenants.js';
import { FEATURE_ENTITIES_MAX, READ_MS_MAX } from '../limits.js';
import { servingMetrics } from '../metrics.js';
import type { FeatureReaders } from '../ports.js';
import { access, CHECKS_ITSELF, described, iso } from './declare.js';
import { orBadRequest } from './ids.js';
import { inShort } from './products.js';
import { answers, json } from './shapes.js';

const OF_USERS = ['affinity', 'interactions'] as const;
const OF_PRODUCTS = ['popularity', 'product'] as const;
const FEATURES = [...OF_USERS, ...OF_PRODUCTS];
type Feature = (typeof FEATURES)[number];

interface BatchRoutes {
  readonly readers: FeatureReaders;
  readonly tenants: Tenants;
  readonly metrics: Metrics;
}

interface Wanted {
  readonly users: readonly string[];
  readonly products: readonly string[];
  readonly features: ReadonlySet<Feature>;
}

export function addBatchRoutes(app: FastifyInstance, { readers, tenants, metrics }: BatchRoutes): void {
  app.post(
    '/v1/features',
    {
      ...CHECKS_ITSELF,
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        {
          operationId: 'features',
          tag: 'features',
          summary: 'Features of many users and products at once.',
          description: `At most ${FEATURE_ENTITIES_MAX} ids. Rows come in the order of the ids; a feature that an entity does not have is null. By default all features.`,
        },
        {
          body: { content: { 'application/json': { schema: { $ref: 'FeaturesRequest#' } } } },
          response: answers({ 200: json('Features', 'One row per id.') }, [400, 413, 415]),
        },
      ),
    },
    async (request) => {
      const { users, products, features } = orBadRequest(() => readWanted(request.body));
      const foreign = await tenants.foreign(request.principal, users);
      // Whether another tenant has a user must not be revealed: such a user looks unknown.
      const own = users.filter((user) => !foreign.has(user));
      const read = <T>(feature: Feature, ids: readonly string[], from: (ids: readonly string[]) => Promise<T>) =>
        features.has(feature) && ids.length > 0 ? from(ids) : null;
      const [affinities, interactions, popularities, catalogue] = await Promise.all([
        read('affinity', own, (ids) => readers.affinities(ids)),
        read('interactions', own, (ids) => readers.interactions(ids)),
        read('popularity', products, (ids) => readers.popularities(ids)),
        read('product', products, (ids) => readers.catalogue(ids)),
      ]);
      const versions = Object.fromEntries(
        Object.entries({ affinity: affinities, interactions, popularity: popularities }).flatMap(([name, many]) =>
          many === null ? [] : [[name, many.version]],
        ),
      );
      for (const [artefact, version] of Object.entries(versions))
        servingMetrics(metrics).reads.inc({ artefact, version: String(version) });
      return {
        versions,
        users: users.map((user) => ({
          user_id: user,
          ...(features.has('affinity') && { affinity: affinityOf(affinities?.rows.get(user)) }),
          ...(features.has('interactions') && { interactions: interactionsOf(interactions?.rows.get(user)) }),
        })),
        products: products.map((product) => ({
          product_id: product,
          ...(features.has('popularity') && { popularity: popularityOf(popularities?.rows.get(product)) }),
          ...(features.has('product') && {
            product: catalogue?.has(product) ? inShort(catalogue.get(product)!) : null,
          }),
        })),
      };
    },
  );
}

type Row<M extends 'affinities' | 'interactions' | 'popularities'> =
  Awaited<ReturnType<FeatureReaders[M]>>['rows'] extends ReadonlyMap<string, infer R> ? R | undefined : never;

function affinityOf(row: Row<'affinities'>) {
  return row === undefined ? null : { as_of: iso(row.asOf), scores: row.scores };
}

function interactionsOf(row: Row<'interactions'>) {
  if (row === undefined) return null;
  const items = row.items.map(({ productId, ...rest }) => ({ product_id: productId, ...rest }));
  return { as_of: iso(row.asOf), items, truncated: row.truncated };
}

function popularityOf(row: Row<'popularities'>) {
  if (row === undefined) return null;
  const { score, asOf, views, addToCarts, purchases } = row;
  return { score, as_of: iso(asOf), views, add_to_carts: addToCarts, purchases };
}

function readWanted(body: unknown): Wanted {
  const fields = new Fields(body, 'a request for features');
  const users = idsOf(fields, 'users');
  const products = idsOf(fields, 'products');
  const named = listOf(fields, 'features');
  fields.end();
  const count = users.length + products.length;
  if (count === 0) throw new InputError('Give ids in "users", in "products", or in both.');
  if (count > FEATURE_ENTITIES_MAX)
    throw new InputError(`${count} ids are too many: a request may have ${FEATURE_ENTITIES_MAX}.`);
  for (const name of named ?? [])
    if (!(FEATURES as readonly unknown[]).includes(name))
      throw new InputError(`"features" may contain ${FEATURES.join(', ')}, not ${JSON.stringify(name)?.slice(0, 60)}.`);
  return { users, products, features: new Set(named === null ? FEATURES : (named as Feature[])) };
}

function idsOf(fields: Fields, name: string): string[] {
  return (listOf(fields, name) ?? []).map((id, i) => checkId(`${name}[${i}]`, id));
}

/** Null if the field is missing. */
function listOf(fields: Fields, name: string): readonly unknown[] | null {
  const value = fields.any(name);
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) throw new InputError(`"${name}" must be a list.`);
  return value;
}
