/** For probes and Prometheus, in every process: whether it lives, whether it is ready, and its metrics. */
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Readiness } from '../ports.js';
import { access, described } from './declare.js';
import { answers, json, refusals } from './shapes.js';

/** No token is needed, but the Host header is checked. */
const OPEN_REFUSALS = [400, 403];

interface HealthRoutes {
  readonly isReady: () => Readiness;
  readonly metrics: Metrics;
  /** Without tokens only this machine has access, and sees everything. */
  readonly needsTokens: boolean;
}

export function addHealthRoutes(app: FastifyInstance, options: HealthRoutes): void {
  const { isReady, metrics } = options;

  app.get(
    '/health/live',
    {
      config: access('open'),
      schema: described(
        { operationId: 'live', tag: 'health', summary: 'The process is running.' },
        { response: { 200: json('Live', 'It is.'), ...refusals(OPEN_REFUSALS) } },
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
        {
          response: {
            200: json('Ready', 'Ready.'),
            503: json('Ready', 'Not yet; `waiting` says why.'),
            ...refusals(OPEN_REFUSALS),
          },
        },
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
}
