/** POST /v1/erasures: a request to forget a user or a product. */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../runtime/clock.js';
import type { Tenants } from '../access/tenants.js';
import { Fields } from '../input/fields.js';
import { InputError } from '../input/input-error.js';
import type { Eraser, Subject } from '../writing/eraser.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { orBadRequest } from './ids.js';
import { answers, json } from './shapes.js';

export interface ErasureRoutes {
  readonly eraser: Eraser;
  readonly clock: Clock;
  readonly tenants: Tenants;
}

export function addErasureRoutes(app: FastifyInstance, { eraser, clock, tenants }: ErasureRoutes): void {
  app.post(
    '/v1/erasures',
    {
      ...CHECKS_ITSELF,
      config: access('erase'),
      schema: described(
        {
          operationId: 'postErasure',
          tag: 'operation',
          summary: 'Forgets a user, or takes a product out of every list.',
          description:
            'The request and its effect are one transaction. What a user did before it is dropped from every feature of that user; what comes after it counts anew.',
        },
        {
          body: { content: { 'application/json': { schema: { $ref: 'ErasureRequest#' } } } },
          response: answers({ 202: json('ErasureReceipt', 'Written to the log.') }, [400, 413, 415]),
        },
      ),
    },
    async (request, reply) => {
      const { subject, reason } = orBadRequest(() => readErasure(request.body));
      if (subject.kind === 'user') await tenants.requireWritable(request.principal, subject.id);
      return reply.code(202).send({ subject: await eraser.erase(subject, reason, clock.now()) });
    },
  );
}

function readErasure(body: unknown): { subject: Subject; reason: string | null } {
  const fields = new Fields(body, 'an erasure');
  const userId = fields.idOrNull('user_id');
  const productId = fields.idOrNull('product_id');
  const reason = fields.has('reason') && fields.any('reason') !== null ? fields.text('reason') : null;
  fields.end();
  if ((userId === null) === (productId === null))
    throw new InputError('Give either "user_id" or "product_id": one request forgets one of them.');
  return {
    subject: userId !== null ? { kind: 'user', id: userId } : { kind: 'product', id: productId! },
    reason,
  };
}
