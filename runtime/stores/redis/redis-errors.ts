/** Maps errors of Redis, or of the connection to it. */
import type { ErrorCode } from '../../process/errors.js';
import { FreshetError, messageOf } from '../../process/errors.js';
import { UNREACHABLE_CODES } from '../unreachable.js';

/** Redis starts an error with a word in capitals; before version 7, errors inside a script have it further on. */
const BY_WORD: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['LOADING', 'unavailable'],
  ['BUSY', 'unavailable'],
  ['MASTERDOWN', 'unavailable'],
  ['CLUSTERDOWN', 'unavailable'],
  ['TRYAGAIN', 'unavailable'],
  // A replica after a failover: the connection is renewed and may reach the new master.
  ['READONLY', 'unavailable'],
  ['OOM', 'unavailable'],
  ['MISCONF', 'unavailable'],
  ['NOREPLICAS', 'unavailable'],
  ['UNKILLABLE', 'unavailable'],
  ['NOAUTH', 'access'],
  ['WRONGPASS', 'access'],
  ['NOPERM', 'access'],
  ['DENIED', 'access'],
  ['WRONGTYPE', 'invalid_data'],
]);
const WORD = new RegExp(`\\b(${[...BY_WORD.keys()].join('|')})\\b`);
const CONNECTION_MESSAGES =
  /Connection is closed|Stream isn't writeable|max retries per request|connection close|Socket timeout/i;

/** Maps to the closed list of codes. `doing` says what was tried, e.g. "Redis at host:6379: writing a batch". */
export function redisError(error: unknown, doing: string): FreshetError {
  if (error instanceof FreshetError) return error;
  const message = messageOf(error);
  return new FreshetError(codeOf(error, message), `${doing}: ${message}`, { cause: error });
}

function codeOf(error: unknown, message: string): ErrorCode {
  const word = WORD.exec(message)?.[1];
  if (word !== undefined) return BY_WORD.get(word) ?? 'internal';
  if (/Command timed out/.test(message)) return 'timeout';
  if (/max number of clients/.test(message)) return 'unavailable';
  // The second: a user with limited rights, reported from within a script.
  if (/invalid password|invalid username-password|can't (run|access)|ACL failure/i.test(message)) return 'access';
  const systemCode = String((error as { code?: unknown } | null)?.code ?? '');
  if (/CERT|^ERR_(TLS|SSL)/.test(systemCode)) return 'settings';
  if (UNREACHABLE_CODES.test(systemCode) || CONNECTION_MESSAGES.test(message)) return 'connection';
  return 'internal';
}
