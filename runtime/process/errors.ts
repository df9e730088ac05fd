/**
 * The closed list of error codes. Whether a code is worth a retry is decided here and nowhere else: connection errors,
 * timeouts, rate limits and "resource temporarily unavailable" are transient; data, schema, access and settings are
 * not.
 */
export type ErrorCode =
  | 'connection'
  | 'timeout'
  | 'rate_limit'
  | 'unavailable'
  | 'offset_out_of_range'
  | 'fenced'
  | 'indefinite_commit'
  | 'record_too_large'
  | 'unknown_topic'
  | 'invalid_data'
  | 'schema'
  | 'access'
  | 'settings'
  | 'state'
  | 'locked'
  | 'internal';

const TRANSIENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['connection', 'timeout', 'rate_limit', 'unavailable']);

/** An error with a code, and a sentence that says what happened, where, and what to do. */
export class FreshetError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FreshetError';
    this.code = code;
  }

  get transient(): boolean {
    return TRANSIENT.has(this.code);
  }
}

/** True if the same call may succeed later without any change. */
export function isTransient(error: unknown): boolean {
  return error instanceof FreshetError && error.transient;
}

export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof FreshetError && error.code === code;
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
