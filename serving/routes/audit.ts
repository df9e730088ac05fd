/** The auditor's findings, and comparisons on request: served values against a recount from the raw log. */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { Fields } from '../../ingest/fields.js';
import { InputError } from '../../ingest/input-error.js';
import type { Audits } from '../ports.js';
import { Problem } from '../problem.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { orBadRequest } from './ids.js';
import { parameters, text } from './schema.js';
import { answers, json } from './shapes.js';

const SALT_LENGTH_MAX = 64;

/** `audits`: null if this process has no stores. Differences name ids of all tenants. */
export function addAuditRoutes(app: FastifyInstance, audits: Audits | null): void {
  app.get(
    '/v1/audit',
    {
      config: access('raw'),
      schema: described(
        {
          operationId: 'audit',
          tag: 'operation',
          summary: 'What the auditor of this process compares, and its latest findings.',
        },
        { response: answers({ 200: json('Audit', 'Off where AUDIT_SAMPLE is 0 or nothing is published here.') }, []) },
      ),
    },
    () => {
      const auditor = audits?.auditor() ?? null;
      if (auditor === null) return { state: 'off', interval_seconds: null, last: null };
      return { state: auditor.state, interval_seconds: auditor.intervalMs / 1_000, last: auditor.last };
    },
  );

  app.post(
    '/v1/verifications',
    {
      ...CHECKS_ITSELF,
      config: access('raw'),
      schema: described(
        {
          operationId: 'postVerification',
          tag: 'operation',
          summary: 'Compares a sample of served values with a recount from the raw log; one at a time.',
        },
        {
          body: { content: { 'application/json': { schema: { $ref: 'VerificationRequest#' } } } },
          response: answers(
            { 202: json('Verification', 'Started; Location shows its progress.') },
            [400, 409, 413, 415],
          ),
        },
      ),
    },
    (request, reply) => {
      const wanted = orBadRequest(() => readRequest(request.body));
      const begun = orUnavailable(audits).begin(wanted);
      if (begun === null) throw new Problem(409, 'A verification is already running: wait until it is done.');
      return reply.code(202).header('location', `/v1/verifications/${begun.verification_id}`).send(begun);
    },
  );

  app.get<{ Params: { id: string } }>(
    '/v1/verifications/:id',
    {
      config: access('raw'),
      schema: described(
        { operationId: 'verification', tag: 'operation', summary: 'Progress of a verification, and its report.' },
        {
          params: parameters({ id: { ...text, description: 'As returned when it was started.' } }, ['id']),
          response: answers({ 200: json('Verification', 'The report is null until it is done.') }, [404]),
        },
      ),
    },
    (request) => {
      const found = orUnavailable(audits).get(request.params.id);
      if (found === null) throw new Problem(404, 'No verification has this id, or this process no longer keeps it.');
      return found;
    },
  );
}

function orUnavailable(audits: Audits | null): Audits {
  if (audits === null) throw new Problem(503, 'This process has no stores to compare with the log.');
  return audits;
}

function readRequest(body: unknown): { share: number; salt: string } {
  const fields = new Fields(body, 'a verification');
  const sample = fields.any('sample');
  if (typeof sample !== 'number' || !(sample > 0 && sample <= 1))
    throw new InputError('"sample" must be the share of keys to compare: a number above 0, at most 1.');
  const salt = fields.has('salt') ? fields.text('salt') : randomBytes(4).toString('hex');
  if (salt.length > SALT_LENGTH_MAX) throw new InputError(`"salt" has more than ${SALT_LENGTH_MAX} characters.`);
  fields.end();
  return { share: sample, salt };
}
