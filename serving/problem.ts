/** Errors as the caller sees them: application/problem+json (RFC 9457) with a sentence that a person can act on. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError } from 'fastify';
import { FreshetError } from '../runtime/process/errors.js';
import { ID_BYTES_MAX } from '../topics/ids.js';
import { BODY_BYTES_MAX } from './limits.js';

interface ProblemOptions extends ErrorOptions {
  /** Additional members of the answer. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Seconds after which a retry makes sense. */
  readonly retryAfterS?: number;
}

/** Thrown by routes and hooks; the caller sees the sentence unchanged. */
export class Problem extends Error {
  readonly status: number;
  readonly members: Readonly<Record<string, unknown>>;
  readonly retryAfterS: number | null;

  constructor(status: number, sentence: string, options: ProblemOptions = {}) {
    super(sentence, options);
    this.name = 'Problem';
    this.status = status;
    this.members = options.members ?? {};
    this.retryAfterS = options.retryAfterS ?? null;
  }

  toBody(): Record<string, unknown> {
    const title = STATUS_CODES[this.status] ?? 'Error';
    return { type: 'about:blank', title, status: this.status, detail: this.message, ...this.members };
  }
}

export const PROBLEM_TYPE = 'application/problem+json';
const RETRY_S = 5;

/** One problem in a request. */
interface InputFault {
  readonly field: string;
  readonly error: string;
}

/**
 * The part of an error that the caller may see. Messages of inner errors name hosts, tables and files, so they only go
 * to the log; the caller's message is chosen here by code.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof FreshetError) return ofFreshet(error);
  if (isFastifyError(error)) return ofFastify(error);
  return inner(error);
}

function ofFreshet(error: FreshetError): Problem {
  const options = { cause: error, retryAfterS: RETRY_S };
  switch (error.code) {
    case 'connection':
    case 'timeout':
    case 'rate_limit':
    case 'unavailable':
    case 'fenced':
    case 'indefinite_commit':
      return new Problem(
        503,
        'A service that this request needs does not respond. Try again in a few seconds; /health/ready names what is missing.',
        options,
      );
    case 'unknown_topic':
      return new Problem(503, 'A topic that this request needs does not exist. Run "freshet topics apply".', options);
    case 'record_too_large':
      return new Problem(413, 'A record is larger than 512 KiB: shorten its texts.', { cause: error });
    case 'offset_out_of_range':
      return new Problem(410, 'These offsets are no longer, or not yet, in the log: start again with from=beginning.', {
        cause: error,
      });
    default:
      return inner(error);
  }
}

function inner(error: unknown): Problem {
  return new Problem(500, 'An internal error occurred. The server log has the reason under the id in X-Request-Id.', {
    cause: error,
  });
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && typeof (error as { statusCode?: unknown }).statusCode === 'number';
}

function ofFastify(error: FastifyError): Problem {
  if (error.validation) return ofValidation(error);
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem(413, `The body is larger than ${BODY_BYTES_MAX / 1024} KiB: send it in several requests.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE':
      return new Problem(
        415,
        'Send the body with Content-Type application/json; routes that accept many records also accept application/x-ndjson.',
      );
    case 'FST_ERR_HANDLER_TIMEOUT':
      return new Problem(503, 'The answer took too long. Try again in a few seconds.', { retryAfterS: RETRY_S });
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem(400, `An id in the path is too long: at most ${ID_BYTES_MAX} bytes are allowed.`);
    case 'FST_ERR_BAD_URL':
      return new Problem(400, 'The path is not a valid URL: percent-encode ids as UTF-8.');
  }
  const status = error.statusCode ?? 500;
  return status >= 400 && status < 500 ? new Problem(status, sentence(error.message)) : inner(error);
}

/** Ajv's errors for path and query as sentences. */
function ofValidation(error: FastifyError): Problem {
  const errors: InputFault[] = error.validation!.map((finding) => {
    const { keyword, params, message, instancePath } = finding;
    const field = instancePath.slice(1);
    if (keyword === 'additionalProperties')
      return { field: String(params['additionalProperty']), error: 'is not a parameter of this route' };
    if (keyword === 'required') return { field: String(params['missingProperty']), error: 'is missing' };
    if (keyword === 'enum')
      return { field, error: `must be one of ${(params['allowedValues'] as string[]).join(', ')}` };
    return { field, error: message ?? 'is invalid' };
  });
  const where = error.validationContext === 'querystring' ? 'Query parameter' : 'Parameter';
  const detail = errors.map((fault) => `${where} "${fault.field}" ${fault.error}.`).join(' ');
  return new Problem(400, detail, { members: { errors } });
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
