/** For operators and machines: health, metrics, the figures of the page, the description of this API. */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../runtime/process/clock.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import { ALLOWED } from '../access/roles.js';
import { READ_MS_MAX } from '../limits.js';
import type { Overview, Readiness } from '../ports.js';
import { access, described, iso } from './declare.js';
import { answers, json } from './shapes.js';

interface OperationRoutes {
  readonly isReady: () => Readiness;
  readonly overview: () => Promise<Overview>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Without tokens only this machine has access, and sees everything. */
  readonly needsTokens: boolean;
}

export function addOperationRoutes(app: FastifyInstance, options: OperationRoutes): void {
  const { isReady, overview, metrics, clock } = options;

  app.get(
    '/health/live',
    {
      config: access('open'),
      schema: described(
        { operationId: 'live', tag: 'health', summary: 'The process is running.' },
        { response: { 200: json('Live', 'It is.') } },
      ),
    },
    () => ({ status: 'live' }),
  );

  app.get(
    '/health/ready',
    {
      config: access('open'),
      schema: described(
        { operationId: 'ready', tag: 'health', summary: 'Stores are reachable and owned tasks restored.' },
        { response: { 200: json('Ready', 'Ready.'), 503: json('Ready', 'Not yet; `waiting` says why.') } },
      ),
    },
    (request, reply) => {
      const { ready, waiting, reasons = {} } = isReady();
      if (!ready) void reply.code(503).header('retry-after', '1');
      const shown = (name: string) => (reasons[name] === undefined ? name : `${name}: ${reasons[name]}`);
      const mayKnow = !options.needsTokens || request.principal !== null;
      return { status: ready ? 'ready' : 'waiting', waiting: mayKnow ? waiting.map(shown) : [...waiting] };
    },
  );

  app.get(
    '/metrics',
    {
      config: access('read'),
      schema: described(
        { operationId: 'metrics', tag: 'operation', summary: 'Metrics in the text format of Prometheus.' },
        {
          response: answers(
            { 200: { description: 'Samples.', content: { 'text/plain': { schema: { type: 'string' } } } } },
            [],
          ),
        },
      ),
    },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );

  app.get(
    '/v1/overview',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'overview', tag: 'operation', summary: 'State of the system: the figures of the page.' },
        { response: answers({ 200: json('Overview', 'Lags are in records.') }, []) },
      ),
    },
    async () => {
      const { mode, demo, uptime_seconds, events, lag, freshness_ms, intake } = await overview();
      return { as_of: iso(clock.now()), uptime_seconds, mode, demo, events, lag, freshness_ms, intake };
    },
  );

  app.get(
    '/v1/access',
    {
      config: access('read'),
      schema: described(
        { operationId: 'access', tag: 'operation', summary: 'What the caller may do here.' },
        { response: answers({ 200: json('Access', 'Everything, if no tokens are required.') }, []) },
      ),
    },
    (request) => {
      const role = request.principal?.role ?? null;
      return { role, may: [...ALLOWED[role ?? 'admin']] };
    },
  );

  app.get(
    '/openapi.json',
    {
      config: access('read'),
      schema: described(
        { operationId: 'openapi', tag: 'operation', summary: 'This description of the API.' },
        {
          response: answers(
            { 200: { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: { type: 'object' } } } } },
            [],
          ),
        },
      ),
    },
    () => app.swagger(),
  );
}
