/** For operators and the page: its figures, what the caller may do, the description of this API. */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../runtime/process/clock.js';
import { ALLOWED } from '../access/roles.js';
import { READ_MS_MAX } from '../limits.js';
import type { Overview, OverviewSample } from '../ports.js';
import { access, described, iso } from './declare.js';
import { answers, json } from './shapes.js';

interface OperationRoutes {
  readonly overview: () => Promise<Overview>;
  readonly overviewHistory: () => readonly OverviewSample[];
  readonly clock: Clock;
}

export function addOperationRoutes(app: FastifyInstance, options: OperationRoutes): void {
  const { overview, overviewHistory, clock } = options;

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
    '/v1/overview/history',
    {
      config: access('read'),
      schema: described(
        { operationId: 'overviewHistory', tag: 'operation', summary: 'What the overview showed during the last hour.' },
        { response: answers({ 200: json('OverviewHistory', 'About every five seconds, oldest first.') }, []) },
      ),
    },
    () => ({ samples: overviewHistory().map(({ at, ...sample }) => ({ at: iso(at), ...sample })) }),
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
