/** Requests to the Freshet that holds the data folder. Its messages are shown unchanged. */
import { z } from 'zod';
import { systemClock } from '../../runtime/process/clock.js';
import { type ErrorCode, FreshetError, messageOf } from '../../runtime/process/errors.js';

const problem = z.looseObject({ detail: z.string() });
/** A token may use up its requests for a minute; then the command waits instead of failing halfway. */
const RATE_LIMITED_TRIES = 3;
const RETRY_AFTER_S = 5;

export class ApiClient {
  readonly address: string;
  readonly #token: string | undefined;

  /** `token`: left in the lock by the holder of the data folder for commands, if it requires tokens at all. */
  constructor(address: string, token: string | undefined) {
    this.address = address.replace(/\/$/, '');
    this.#token = token;
  }

  /** Errors: FreshetError with the server's own message; `connection` if there is no response. */
  get(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.#send(path, signal === undefined ? {} : { signal }, () => false);
  }

  /** Like `get`; the body of an error is returned too if `isAnswer` holds for it. */
  getEvenIf(isAnswer: (body: unknown) => boolean, path: string, signal: AbortSignal): Promise<unknown> {
    return this.#send(path, { signal }, isAnswer);
  }

  postJson(path: string, body: unknown): Promise<unknown> {
    const request = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return this.#send(path, request, () => false);
  }

  /** Like `get`; if `isAnswer` holds for an error's body, the body is returned instead of thrown. */
  postLines(path: string, lines: string, isAnswer: (body: unknown) => boolean): Promise<unknown> {
    const request = { method: 'POST', body: lines, headers: { 'content-type': 'application/x-ndjson' } };
    return this.#send(path, request, isAnswer);
  }

  async #send(path: string, request: RequestInit, isAnswer: (body: unknown) => boolean): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      const response = await this.#fetch(path, request);
      const body = parse(response.text);
      if (response.ok || isAnswer(body)) return body;
      if (response.status === 429 && tries < RATE_LIMITED_TRIES) {
        await systemClock.sleep(1000 * response.retryAfterS, request.signal ?? undefined);
        continue;
      }
      const parsed = problem.safeParse(body);
      throw new FreshetError(
        codeOf(response.status),
        parsed.success ? parsed.data.detail : `${this.address}${path} answered ${response.status}.`,
      );
    }
  }

  async #fetch(path: string, request: RequestInit) {
    const headers = new Headers(request.headers);
    if (this.#token !== undefined) headers.set('authorization', `Bearer ${this.#token}`);
    try {
      const response = await fetch(`${this.address}${path}`, { ...request, headers });
      const retryAfterS = Number(response.headers.get('retry-after')) || RETRY_AFTER_S;
      return { ok: response.ok, status: response.status, retryAfterS, text: await response.text() };
    } catch (error) {
      if (request.signal?.aborted) throw error;
      throw new FreshetError(
        'connection',
        `The Freshet that holds the data folder does not answer at ${this.address} (${causeOf(error)}): is it still starting, or stopping?`,
        { cause: error },
      );
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function causeOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'access';
  if (status === 404) return 'unknown_topic';
  if (status === 410) return 'offset_out_of_range';
  if (status === 429) return 'rate_limit';
  return status >= 500 ? 'unavailable' : 'invalid_data';
}
