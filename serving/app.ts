/** The HTTP surface as one Fastify instance, not yet listening: gate, parsers, errors, routes. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { Eraser } from '../ingest/eraser.js';
import { SharedWriter } from '../ingest/shared-writer.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import { allTopics } from '../topics/all.js';
import { documents, events, products, users } from '../topics/events.js';
import { addGuard } from './access/guard.js';
import { Tenants } from './access/tenants.js';
import { loadTokens } from './access/tokens.js';
import { parseJsonBodies } from './bodies.js';
import { answerBrokenRequest } from './broken-request.js';
import {
  BODY_BYTES_MAX,
  CONNECTIONS_MAX,
  HANDLER_MS_MAX,
  IDLE_SOCKET_MS_MAX,
  KEEP_ALIVE_MS,
  PATH_PARAMETER_LENGTH_MAX,
  QUEUED_BYTES_MAX,
  REQUEST_MS_MAX,
  WRITE_MS_MAX,
} from './limits.js';
import { servingMetrics } from './metrics.js';
import type { ServingOptions } from './ports.js';
import { PROBLEM_TYPE, Problem, problemOf } from './problem.js';
import { addAuditRoutes } from './routes/audit.js';
import { addCatalogueRoutes } from './routes/catalogue.js';
import { addErasureRoutes } from './routes/erasures.js';
import { addEventRoutes } from './routes/events.js';
import { addFeatureRoutes } from './routes/features.js';
import { addModelRoutes } from './routes/models.js';
import { addOperationRoutes } from './routes/operation.js';
import { addPage } from './routes/page.js';
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

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

/**
 * Builds the whole surface; ready for `inject` and `listen`. Closing it closes its writers. Throws
 * FreshetError('settings') for invalid or missing tokens.
 */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { settings, logger, metrics, clock, log, codec, erasures, sets } = options;
  const tokens = loadTokens(settings, options.localToken);
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    connectionTimeout: IDLE_SOCKET_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    handlerTimeout: HANDLER_MS_MAX,
    forceCloseConnections: 'idle',
    genReqId: requestId,
    routerOptions: { maxParamLength: PATH_PARAMETER_LENGTH_MAX },
    // Parameters are never repaired silently: an unknown one is refused.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, useDefaults: true } },
    frameworkErrors: (error, request, reply) => {
      void setHeaders(request, reply);
      void sendProblem(logger, error, request, reply);
    },
    clientErrorHandler: answerBrokenRequest,
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  // Answers are plain objects made for this purpose; a serializer that drops unknown fields would hide mistakes.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error, request, reply) => sendProblem(logger, error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!.slice(0, 200);
    const sentence = `There is no ${request.method} ${path}; /openapi.json lists the routes.`;
    return sendProblem(logger, new Problem(404, sentence), request, reply);
  });
  app.addHook('onRequest', async (request, reply) => setHeaders(request, reply));
  refuseOddNumbers(app);
  app.addHook('onSend', async (_request, reply) => {
    // Otherwise the client would keep the connection open after a pending answer, and the stop would wait for it.
    if (options.stopping.aborted) void reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => observe(logger, metrics, request, reply));

  await addGuard(app, { listenHost: settings.HOST, tokens });
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
  addModelRoutes(app, { models: options.models, tenants, metrics });
  addStopwordRoutes(app, { readers, metrics });
  addVersionRoutes(app, { versions, runs });
  addRunRoutes(app, runs);
  addErasureRoutes(app, { eraser, erasures, clock, tenants, stopping });
  await addTopicRoutes(app, { topics: allTopics(sets), log, codec, writer, clock, tenants, stopping });
  addSkipRoutes(app, { skips: options.skips, clock });
  addOperationRoutes(app, { isReady, overview, metrics, clock, needsTokens: tokens !== null });
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
    },
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

/** The caller's id if it is harmless, so that traces can be joined; else a new one. */
function requestId(raw: IncomingMessage): string {
  const given = raw.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID();
}

function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  void reply.headers({ ...SECURITY_HEADERS, 'x-request-id': request.id });
}

/** Parameters are numbers in decimal digits. Ajv would also take 0x10, 1e2 and Infinity, the latter past every maximum. */
function refuseOddNumbers(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    const { querystring } = (request.routeOptions.schema ?? {}) as { querystring?: { properties?: object } };
    const declared = (querystring?.properties ?? {}) as Readonly<
      Record<string, { readonly type?: unknown } | undefined>
    >;
    const given = request.query as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(given))
      if (declared[name]?.type === 'integer' && !/^-?\d{1,15}$/.test(String(value)))
        throw new Problem(400, `Query parameter "${name}" must be a whole number of at most 15 decimal digits.`, {
          members: { errors: [{ field: name, error: 'must be a whole number in decimal digits' }] },
        });
  });
}

function refuseEncodedBodies(app: FastifyInstance): void {
  app.addHook('preParsing', async (request, _reply, payload) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      throw new Problem(415, 'Send the body uncompressed: Content-Encoding is not supported.');
    return payload;
  });
}

function sendProblem(logger: Logger, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  // A route's own 503 without a cause means that something does not exist yet: nothing has failed.
  const isExpected = problem === error && problem.status === 503 && problem.cause === undefined;
  if (problem.status >= 500 && !isExpected)
    logger.error(
      { event: 'http_request_failed', request_id: request.id, route: routeOf(request), err: problem.cause ?? problem },
      problem.message,
    );
  if (problem.retryAfterS !== null) void reply.header('retry-after', String(problem.retryAfterS));
  return reply.code(problem.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem.toBody());
}

/** The pattern, never the path: the number of ids is unlimited, so they must not become labels or appear in logs. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions?.url ?? 'none';
}

function observe(logger: Logger, metrics: Metrics, request: FastifyRequest, reply: FastifyReply): void {
  const route = routeOf(request);
  const seconds = reply.elapsedTime / 1000;
  servingMetrics(metrics).requests.inc({ route, method: request.method, status: String(reply.statusCode) });
  servingMetrics(metrics).seconds.observe({ route }, seconds);
  logger.debug(
    {
      event: 'http_request',
      request_id: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      duration_seconds: Number(seconds.toFixed(6)),
    },
    `${request.method} ${route} ${reply.statusCode}`,
  );
}
