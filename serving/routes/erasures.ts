/** Requests to forget a user or a product, and their state. */
import type { FastifyInstance } from 'fastify';
import type { Eraser } from '../../ingest/eraser.js';
import { Fields } from '../../ingest/fields.js';
import { InputError } from '../../ingest/input-error.js';
import type { Clock } from '../../runtime/process/clock.js';
import { parseSubject, type Subject } from '../../topics/subject.js';
import type { Tenants } from '../access/tenants.js';
import { HANDLER_MS_MAX, RAW_WAIT_MS_MAX } from '../limits.js';
import type { Erasures } from '../ports.js';
import { Problem } from '../problem.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { idOf, orBadRequest } from './ids.js';
import { count, parameters, text } from './schema.js';
import { answers, json } from './shapes.js';

interface ErasureRoutes {
  readonly eraser: Eraser;
  readonly erasures: Erasures;
  readonly clock: Clock;
  readonly tenants: Tenants;
  /** Ends waiting requests when the server stops. */
  readonly stopping: AbortSignal;
}

export function addErasureRoutes(app: FastifyInstance, options: ErasureRoutes): void {
  addRequest(app, options);
  addStatus(app, options);
}

function addRequest(app: FastifyInstance, { eraser, clock, tenants }: ErasureRoutes): void {
  app.post(
    '/v1/erasures',
    {
      ...CHECKS_ITSELF,
      config: access('erase'),
      schema: described(
        {
          operationId: 'postErasure',
          tag: 'operation',
          summary: 'Forgets a user, or removes a product from every list.',
          description:
            'The request and its effect are one transaction. Earlier actions of a user are dropped from every feature of that user; later ones count normally. Location names the address of the certificate.',
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
      const key = await eraser.erase(subject, reason, clock.now());
      const location = `/v1/erasures/${encodeURIComponent(key)}`;
      return reply.code(202).header('location', location).send({ subject: key });
    },
  );
}

function addStatus(app: FastifyInstance, { erasures, tenants, stopping }: ErasureRoutes): void {
  app.get<{ Params: { subject: string }; Querystring: { wait_ms: number } }>(
    '/v1/erasures/:subject',
    {
      config: access('erase'),
      handlerTimeout: RAW_WAIT_MS_MAX + HANDLER_MS_MAX,
      schema: described(
        {
          operationId: 'erasure',
          tag: 'operation',
          summary: 'State of the newest erasure of a subject; once it is done, its certificate.',
          description:
            'Read from the log and the stores at the time of the request: it also covers requests to other processes.',
        },
        {
          params: parameters({ subject: { ...text, description: 'user:<id> or product:<id>, percent-encoded.' } }, [
            'subject',
          ]),
          querystring: parameters({ wait_ms: count(0, RAW_WAIT_MS_MAX, 0, 'How long to wait for its end, ms.') }),
          response: answers({ 200: json('Erasure', 'What is gone, what expires when, what stays.') }, [400, 404]),
        },
      ),
    },
    async (request) => {
      const subject = subjectOf(request.params.subject);
      if (subject.kind === 'user') await tenants.requireVisible(request.principal, subject.id);
      const status = await erasures.status(subject, request.query.wait_ms, stopping);
      if (status === null)
        throw new Problem(404, `No erasure of ${subject.kind} ${JSON.stringify(subject.id)} was requested.`);
      return status;
    },
  );
}

function subjectOf(key: string): Subject {
  const subject = parseSubject(key);
  if (subject === null) throw new Problem(400, 'Give the subject as user:<id> or product:<id>.');
  return { kind: subject.kind, id: idOf('subject', subject.id) };
}

function readErasure(body: unknown): { subject: Subject; reason: string | null } {
  const fields = new Fields(body, 'an erasure');
  const userId = fields.idOrNull('user_id');
  const productId = fields.idOrNull('product_id');
  const reason = fields.has('reason') && fields.any('reason') !== null ? fields.text('reason') : null;
  fields.end();
  if ((userId === null) === (productId === null))
    throw new InputError('Give either "user_id" or "product_id": a request forgets one of them.');
  return {
    subject: userId !== null ? { kind: 'user', id: userId } : { kind: 'product', id: productId! },
    reason,
  };
}
