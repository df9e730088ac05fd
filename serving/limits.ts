/** Every limit of the HTTP surface in one place: sizes, counts, times and rates. */
import { ID_BYTES_MAX } from '../topics/ids.js';

/** Largest body of any JSON route, bytes. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Most records in one request. */
export const RECORDS_PER_REQUEST_MAX = 10_000;
/** An id of ID_BYTES_MAX with every byte percent-encoded, and a little room so that our own sentence answers it. */
export const PATH_PARAMETER_LENGTH_MAX = 4 * ID_BYTES_MAX;

/** A request must have arrived whole within this time. */
export const REQUEST_MS_MAX = 30_000;
/** A socket on which nothing moves is closed. Longer than the longest wait for records. */
export const IDLE_SOCKET_MS_MAX = 60_000;
export const KEEP_ALIVE_MS = 20_000;
export const CONNECTIONS_MAX = 10_000;
/** A read from the stores that takes longer is answered with 503. */
export const READ_MS_MAX = 5_000;
/** How long a write waits for the log's acknowledgement before 503. */
export const WRITE_MS_MAX = 10_000;
/** Any other handler. */
export const HANDLER_MS_MAX = 15_000;
/** How long requests under way may take after stop. */
export const STOP_MS_MAX = 3_000;
/** How long after that the log may take to acknowledge what nobody waits for any more. */
export const LAST_WRITES_MS_MAX = 1_000;

/** Records waiting for the log in one process; more is answered with 503. */
export const QUEUED_BYTES_MAX = 64 * 1024 * 1024;

/** Reading raw records: rows, bytes and waiting time of one answer, and how many such reads at once. */
export const RAW_RECORDS_MAX = 1_000;
export const RAW_RECORDS_DEFAULT = 100;
export const RAW_BYTES_MAX = 8 * 1024 * 1024;
export const RAW_WAIT_MS_MAX = 30_000;
export const RAW_READS_MAX = 32;

export type AccessClass = 'read' | 'write' | 'operate' | 'raw' | 'erase';

/**
 * Requests per token and minute in one process, counted only while tokens are set: without them only this machine can
 * reach us. Reads serve shop pages (1,000 a second); one write may carry 10,000 events (100 writes a second); operation
 * is done by people and scripts.
 */
export const REQUESTS_PER_MINUTE: Readonly<Record<AccessClass, number>> = {
  read: 60_000,
  write: 6_000,
  operate: 600,
  raw: 600,
  erase: 600,
};
/** Failed authentications per address and minute: then 429 until the minute is over. */
export const FAILURES_PER_MINUTE = 60;
