/** All limits of the HTTP surface: sizes, counts, times and rates. */
import { ID_BYTES_MAX } from '../topics/ids.js';

/** Largest body of any JSON route, bytes. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Most records in one request. */
export const RECORDS_PER_REQUEST_MAX = 10_000;
/** Most users and products together in one request for features. */
export const FEATURE_ENTITIES_MAX = 1_000;
/** An id of ID_BYTES_MAX with every byte percent-encoded, plus a margin so that our own message answers longer ones. */
export const PATH_PARAMETER_LENGTH_MAX = 4 * ID_BYTES_MAX;

/** A request must have arrived completely within this time. */
export const REQUEST_MS_MAX = 30_000;
/** A socket without traffic is closed. Longer than the longest wait for records. */
export const IDLE_SOCKET_MS_MAX = 60_000;
export const KEEP_ALIVE_MS = 20_000;
export const CONNECTIONS_MAX = 10_000;
/** A read from the stores that takes longer is answered with 503. */
export const READ_MS_MAX = 5_000;
/** How long a write waits for the log's acknowledgement before 503. */
export const WRITE_MS_MAX = 10_000;
/** Time limit of any other handler. */
export const HANDLER_MS_MAX = 15_000;
/** Time that pending requests have after stop. */
export const STOP_MS_MAX = 3_000;
/** Time that the log has after that to acknowledge records whose requests have ended. */
export const LAST_WRITES_MS_MAX = 1_000;

/** Records waiting for the log in one process; more is answered with 503. */
export const QUEUED_BYTES_MAX = 64 * 1024 * 1024;

/** Limits for reading raw records: rows, bytes and waiting time of one answer, and the number of concurrent reads. */
export const RAW_RECORDS_MAX = 1_000;
export const RAW_RECORDS_DEFAULT = 100;
export const RAW_BYTES_MAX = 8 * 1024 * 1024;
export const RAW_WAIT_MS_MAX = 30_000;
export const RAW_READS_MAX = 32;

export type AccessClass = 'read' | 'write' | 'operate' | 'raw' | 'erase';

/**
 * Requests per token and minute in one process, counted only while tokens are set: without them only this machine can
 * reach us. Reads serve shop pages (1,000 a second); one write may carry 10,000 events (100 writes a second); people
 * and scripts use the operation routes.
 */
export const REQUESTS_PER_MINUTE: Readonly<Record<AccessClass, number>> = {
  read: 60_000,
  write: 6_000,
  operate: 600,
  raw: 600,
  erase: 600,
};
/** Failed authentications per address and minute: further ones get 429 until the minute is over. */
export const FAILURES_PER_MINUTE = 60;
