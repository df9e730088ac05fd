/** Parses bodies from bytes: strict UTF-8 JSON, and NDJSON in which a bad line only affects itself. */
import type { FastifyInstance } from 'fastify';
import { InputError } from '../ingest/input-error.js';
import { parseJson } from '../ingest/json.js';
import { RECORDS_PER_REQUEST_MAX } from './limits.js';
import { Problem } from './problem.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });
const LINE_FEED = 0x0a;

/** The lines of an NDJSON body that are not blank. */
class Lines {
  readonly #lines: Buffer[] = [];

  constructor(body: Buffer) {
    for (let start = 0; start < body.length; ) {
      const feed = body.indexOf(LINE_FEED, start);
      const end = feed === -1 ? body.length : feed;
      if (!isBlank(body, start, end)) this.#lines.push(body.subarray(start, end));
      start = end + 1;
    }
  }

  get count(): number {
    return this.#lines.length;
  }

  /** Throws InputError when the line is not JSON in UTF-8, or is nested too deeply. */
  parse(index: number): unknown {
    return parseBytes(this.#lines[index]!, 'The line');
  }
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0x20 && bytes[i] !== 0x0d && bytes[i] !== 0x09) return false;
  return true;
}

function parseBytes(bytes: Buffer, what: string): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new InputError(`${what} is not UTF-8.`);
  }
  return parseJson(text, what);
}

/** Accepts only application/json; an empty body is undefined. Form types and plain text end in 415. */
export function parseJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    if (body.length === 0) return done(null, undefined);
    try {
      done(null, parseBytes(body as Buffer, 'The body'));
    } catch (error) {
      done(new Problem(400, (error as InputError).message));
    }
  });
}

/** Also accepts application/x-ndjson, as Lines. */
export function parseNdjsonBodies(app: FastifyInstance): void {
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, new Lines(body as Buffer));
  });
}

interface Rejection {
  /** Position among the records of the request, from 0; blank lines are not counted. */
  readonly index: number;
  readonly error: string;
}

interface ReadRecords<T> {
  readonly accepted: readonly T[];
  readonly rejected: readonly Rejection[];
}

/**
 * Applies `read` to every record of a body: one object, an array, or lines. Throws Problem if there are none or too
 * many; a record for which `read` throws InputError is rejected alone.
 */
export function readRecords<T>(body: unknown, read: (json: unknown) => T): ReadRecords<T> {
  const count = body instanceof Lines ? body.count : Array.isArray(body) ? body.length : 1;
  if (body === undefined || count === 0)
    throw new Problem(400, 'The body contains no record: send an object, an array of objects, or one object per line.');
  if (count > RECORDS_PER_REQUEST_MAX)
    throw new Problem(413, `The body has ${count} records; send at most ${RECORDS_PER_REQUEST_MAX} in one request.`);
  const accepted: T[] = [];
  const rejected: Rejection[] = [];
  for (let index = 0; index < count; index++) {
    try {
      accepted.push(read(body instanceof Lines ? body.parse(index) : Array.isArray(body) ? body[index] : body));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      rejected.push({ index, error: error.message });
    }
  }
  return { accepted, rejected };
}

/** The answer if some were accepted; throws the 400 if none were. */
export function receipt({ accepted, rejected }: ReadRecords<unknown>): {
  accepted: number;
  rejected: readonly Rejection[];
} {
  if (accepted.length === 0) {
    const first = rejected[0]!;
    throw new Problem(
      400,
      rejected.length === 1 ? first.error : `All ${rejected.length} records were rejected; the first: ${first.error}`,
      { members: { accepted: 0, rejected } },
    );
  }
  return { accepted: accepted.length, rejected };
}
