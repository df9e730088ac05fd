/**
 * What every HTTP server of ours has in common, before its routes: limits, headers, the gate, errors as problems, and
 * a line and two metrics for each request.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import { addGuard } from './access/guard.js';
import type { Tokens } from './access/tokens.js';
import { answerBrokenRequest } from './broken-request.js';
import {
  BODY_BYTES_MAX,
  CONNECTIONS_MAX,
  HANDLER_MS_MAX,
  IDLE_SOCKET_MS_MAX,
  KEEP_ALIVE_MS,
  PATH_PARAMETER_LENGTH_MAX,
  REQUEST_MS_MAX,
} from './limits.js';
import { servingMetrics } from './metrics.js';
import { PROBLEM_TYPE, Problem, problemOf } from './problem.js';
import type { HttpSettings } from './settings.js';

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

interface FrameOptions {
  readonly settings: Pick<HttpSettings, 'HOST'>;
  /** Null: none are needed. */
  readonly tokens: Tokens | null;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Ends waiting requests when the server stops. */
  readonly stopping: AbortSignal;
  /** Which routes there are, for the answer to any other one. */
  readonly routes: string;
}

/** Without routes, not yet listening. */
export async function buildFrame(options: FrameOptions): Promise<FastifyInstance> {
  const { settings, tokens, logger, metrics } = options;
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
    const sentence = `There is no ${request.method} ${path}; ${options.routes}.`;
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
  return app;
}

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
