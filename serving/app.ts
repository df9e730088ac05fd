/** The HTTP surface as one Fastify instance, not yet listening: gate, parsers, errors, routes. */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { Eraser } from '../ingest/eraser.js';
import { SharedWriter } from '../ingest/shared-writer.js';
import { allTopics } from '../topics/all.js';
import { documents, events, products, users } from '../topics/events.js';
import { Tenants } from './access/tenants.js';
import { loadTokens } from './access/tokens.js';
import { parseJsonBodies } from './bodies.js';
import { buildFrame } from './frame.js';
import { QUEUED_BYTES_MAX, WRITE_MS_MAX } from './limits.js';
import type { ServingOptions } from './ports.js';
import { Problem } from './problem.js';
import { addAuditRoutes } from './routes/audit.js';
import { addBatchRoutes } from './routes/batch.js';
import { addCatalogueRoutes } from './routes/catalogue.js';
import { addErasureRoutes } from './routes/erasures.js';
import { addEventRoutes } from './routes/events.js';
import { addFeatureRoutes } from './routes/features.js';
import { addHealthRoutes } from './routes/health.js';
import { addModelRoutes } from './routes/models.js';
import { addOperationRoutes } from './routes/operation.js';
import { addPage } from './routes/page.js';
import { addProductRoutes } from './routes/products.js';
import { addRunRoutes } from './routes/runs.js';
import { SHAPES } from './routes/shapes.js';
import { addSkipRoutes } from './routes/skips.js';
import { addStopwordRoutes } from './routes/stopwords.js';
import { addTopicRoutes } from './routes/topics.js';
import { addVersionRoutes } from './routes/versions.js';

export interface AppOptions extends ServingOptions {
  /** Ends waiting requests when the server stops. */
  readonly stopping: AbortSignal;
  /** The folder of the page; tests have their own. */
  readonly webFolder?: string;
}

/**
 * Builds the whole surface; ready for `inject` and `listen`. Closing it closes its writers. Throws
 * FreshetError('settings') for invalid or missing tokens.
 */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { settings, metrics, clock, log, codec, erasures, sets } = options;
  const tokens = loadTokens(settings, options.localToken);
  const app = await buildFrame({ ...options, tokens, routes: '/openapi.json lists the routes' });
  parseJsonBodies(app);
  refuseEncodedBodies(app);
  for (const shape of SHAPES) app.addSchema(shape);
  await app.register(swagger, OPENAPI);

  const writer = new SharedWriter(log, {
    topics: [events, products, documents, users].map(({ name }) => name),
    waitMsMax: WRITE_MS_MAX,
    queuedBytesMax: QUEUED_BYTES_MAX,
  });
  const eraser = new Eraser(log, codec, sets.features, WRITE_MS_MAX);
  app.addHook('onClose', async () => {
    await Promise.all([writer.close(), eraser.close()]);
  });
  const tenants = new Tenants(options.database);
  const { readers, versions, runs, isReady, overview, stopping } = options;
  await addEventRoutes(app, { writer, codec });
  addCatalogueRoutes(app, { writer, codec, clock, tenants });
  addFeatureRoutes(app, { readers, tenants, metrics });
  addProductRoutes(app, { readers });
  addBatchRoutes(app, { readers, tenants, metrics });
  addModelRoutes(app, { models: options.models, readers, tenants, metrics });
  addStopwordRoutes(app, { readers, metrics });
  addVersionRoutes(app, { versions, runs });
  addRunRoutes(app, runs);
  addErasureRoutes(app, { eraser, erasures, clock, tenants, stopping });
  await addTopicRoutes(app, { topics: allTopics(sets), log, codec, writer, clock, tenants, stopping });
  addSkipRoutes(app, { skips: options.skips, clock });
  addHealthRoutes(app, { isReady, metrics, needsTokens: tokens !== null });
  addOperationRoutes(app, { overview, overviewHistory: options.overviewHistory, clock });
  addAuditRoutes(app, options.audits ?? null);
  addPage(app, options.webFolder);
  await app.ready();
  return app;
}

const OPENAPI = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Freshet',
      version: '1',
      description:
        'Features that are always fresh: events and documents in, popularity, affinity, stopwords, recommendations and search out. Errors are problem+json.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The Freshet that this description comes from.' }],
    tags: [
      { name: 'features', description: 'Published features.' },
      { name: 'writes', description: 'Writes of producers.' },
      { name: 'operation', description: 'For operators.' },
      { name: 'health', description: 'For probes; needs no token.' },
    ],
    components: {
      securitySchemes: {
        token: { type: 'http' as const, scheme: 'bearer', description: 'Required if API_TOKENS is set.' },
      },
    },
    security: [{ token: [] }, {}],
  },
  refResolver: {
    buildLocalReference: (json: Record<string, unknown>, _base: unknown, _fragment: string, index: number) =>
      typeof json['$id'] === 'string' ? json['$id'] : `def-${index}`,
  },
};

function refuseEncodedBodies(app: FastifyInstance): void {
  app.addHook('preParsing', async (request, _reply, payload) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      throw new Problem(415, 'Send the body uncompressed: Content-Encoding is not supported.');
    return payload;
  });
}
