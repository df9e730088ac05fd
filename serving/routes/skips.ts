/** Offsets that an operator gives up, so that readers which cannot get past them go on. */
import type { FastifyInstance } from 'fastify';
import { readSkip } from '../../ingest/skips.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Skip } from '../../schemas/records.js';
import type { SkipOrders } from '../ports.js';
import { access, CHECKS_ITSELF, described, iso } from './declare.js';
import { orBadRequest } from './ids.js';
import { answers, json } from './shapes.js';

interface SkipRoutes {
  readonly skips: SkipOrders;
  readonly clock: Clock;
}

export function addSkipRoutes(app: FastifyInstance, { skips, clock }: SkipRoutes): void {
  app.get(
    '/v1/skips',
    {
      config: access('operate'),
      schema: described(
        { operationId: 'skips', tag: 'operation', summary: 'Offsets that were given up: which, by whom, and why.' },
        { response: answers({ 200: json('Skips', 'Oldest first.') }, []) },
      ),
    },
    () => ({ skips: skips.list().map(shapeOf) }),
  );

  app.post(
    '/v1/skips',
    {
      ...CHECKS_ITSELF,
      config: access('operate'),
      schema: described(
        {
          operationId: 'postSkip',
          tag: 'operation',
          summary: 'Gives up a range of offsets: no reader reads it any more.',
          description:
            'For records that stop a reader and cannot be repaired. It cannot be taken back; readers that had read them keep what they have until their state is rebuilt.',
        },
        {
          body: { content: { 'application/json': { schema: { $ref: 'SkipRequest#' } } } },
          response: answers(
            { 202: json('Skip', 'Written to the log; readers that stand still go on.') },
            [400, 413, 415],
          ),
        },
      ),
    },
    async (request, reply) => {
      const wanted = orBadRequest(() => readSkip(request.body));
      const order = {
        by: request.principal === null ? 'without a token' : `token ${request.principal.id}`,
        at: clock.now(),
      };
      const skip = await skips.request(wanted, order).catch((error: unknown) =>
        orBadRequest(() => {
          throw error;
        }),
      );
      return reply.code(202).send(shapeOf(skip));
    },
  );
}

function shapeOf({ topic, partition, from, to, reason, requested_at, requested_by }: Skip) {
  return { topic, partition, from, to, reason, requested_at: iso(requested_at), requested_by };
}
