/** Maps errors of Postgres, or of the connection to it. SQLSTATE classes: appendix A of its manual. */
import type { ErrorCode } from '../../process/errors.js';
import { FreshetError, messageOf } from '../../process/errors.js';
import { UNREACHABLE_CODES } from '../unreachable.js';

const BY_STATE: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['57014', 'timeout'], // query_canceled: the statement time-out
  ['25P03', 'timeout'], // idle_in_transaction_session_timeout
  ['25P04', 'timeout'], // transaction_timeout
  ['57P05', 'timeout'], // idle_session_timeout
  ['55P03', 'unavailable'], // lock_not_available
  ['40001', 'unavailable'], // serialization_failure
  ['40P01', 'unavailable'], // deadlock_detected
  ['25006', 'unavailable'], // read_only_sql_transaction: a standby after a failover
  ['42501', 'access'], // insufficient_privilege
  ['3D000', 'settings'], // the database does not exist
  ['42P01', 'schema'], // undefined_table
  ['42703', 'schema'], // undefined_column
  ['42883', 'schema'], // undefined_function
]);
const BY_CLASS: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['08', 'connection'],
  ['22', 'invalid_data'],
  ['23', 'invalid_data'],
  ['28', 'access'],
  ['53', 'unavailable'], // out of connections, memory, disk
  ['57', 'unavailable'], // shut down, starting up
  ['58', 'unavailable'], // input or output failed
]);
const CONNECTION_MESSAGES =
  /connection terminated|connection error|not queryable|server closed the connection|timeout expired/i;
const TIMEOUT_MESSAGES = /query read timeout|timeout exceeded when trying to connect/i;

/** Maps an error to a code of the closed list. `doing` says what was tried, e.g. "Postgres at host/database". */
export function postgresError(error: unknown, doing: string): FreshetError {
  if (error instanceof FreshetError) return error;
  const state = sqlState(error);
  const suffix = state === null ? '' : ` (SQLSTATE ${state})`;
  return new FreshetError(codeOf(error, state), `${doing}: ${messageOf(error)}${suffix}`, { cause: error });
}

/** The SQLSTATE that Postgres sends with an error; null for an error from elsewhere. */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  const isServers = error instanceof Error && 'severity' in error;
  return isServers && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

function codeOf(error: unknown, state: string | null): ErrorCode {
  if (state !== null) return BY_STATE.get(state) ?? BY_CLASS.get(state.slice(0, 2)) ?? 'internal';
  const message = messageOf(error);
  const systemCode = String((error as { code?: unknown } | null)?.code ?? '');
  if (TIMEOUT_MESSAGES.test(message)) return 'timeout';
  if (/CERT|^ERR_(TLS|SSL)/.test(systemCode) || /does not support SSL/.test(message)) return 'settings';
  if (UNREACHABLE_CODES.test(systemCode) || CONNECTION_MESSAGES.test(message)) return 'connection';
  if (/SASL|password must be a string/.test(message)) return 'access';
  return 'internal';
}
