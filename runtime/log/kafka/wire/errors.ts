/**
 * The Kafka error codes that we can get, and what each means for the caller. Every decision whether to retry a call is
 * made here.
 */
import { type ErrorCode, FreshetError } from '../../../process/errors.js';

/**
 * - `retry`: the same request may succeed later at the same broker.
 * - `leader`: another broker leads the partition now: refresh metadata, then retry.
 * - `coordinator`: another broker coordinates the group or the transaction now.
 * - `fenced`: a newer producer has taken the transactional id, or the coordinator has ended the transaction.
 * - `member`: the group no longer knows this member or this generation.
 * - `refused`: a retry will not help.
 */
type ErrorKind = 'retry' | 'leader' | 'coordinator' | 'fenced' | 'member' | 'refused';

interface Meaning {
  readonly name: string;
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
}

export const OFFSET_OUT_OF_RANGE = 1;
export const UNKNOWN_TOPIC_OR_PARTITION = 3;
export const LEADER_NOT_AVAILABLE = 5;
export const ILLEGAL_GENERATION = 22;
export const REBALANCE_IN_PROGRESS = 27;
export const TOPIC_ALREADY_EXISTS = 36;
export const OUT_OF_ORDER_SEQUENCE_NUMBER = 45;
export const DUPLICATE_SEQUENCE_NUMBER = 46;
export const CONCURRENT_TRANSACTIONS = 51;
export const OFFSET_NOT_AVAILABLE = 78;
export const MEMBER_ID_REQUIRED = 79;

const MEANINGS: Readonly<Record<number, Meaning>> = {
  1: { name: 'OFFSET_OUT_OF_RANGE', kind: 'refused', code: 'offset_out_of_range' },
  // Damaged on the way to the broker, which has discarded the batch.
  2: { name: 'CORRUPT_MESSAGE', kind: 'retry', code: 'unavailable' },
  // Also the answer of a broker that does not know a new topic yet.
  3: { name: 'UNKNOWN_TOPIC_OR_PARTITION', kind: 'leader', code: 'unknown_topic' },
  5: { name: 'LEADER_NOT_AVAILABLE', kind: 'leader', code: 'unavailable' },
  6: { name: 'NOT_LEADER_OR_FOLLOWER', kind: 'leader', code: 'unavailable' },
  7: { name: 'REQUEST_TIMED_OUT', kind: 'retry', code: 'timeout' },
  8: { name: 'BROKER_NOT_AVAILABLE', kind: 'leader', code: 'unavailable' },
  9: { name: 'REPLICA_NOT_AVAILABLE', kind: 'leader', code: 'unavailable' },
  10: { name: 'MESSAGE_TOO_LARGE', kind: 'refused', code: 'record_too_large' },
  13: { name: 'NETWORK_EXCEPTION', kind: 'leader', code: 'connection' },
  14: { name: 'COORDINATOR_LOAD_IN_PROGRESS', kind: 'retry', code: 'unavailable' },
  15: { name: 'COORDINATOR_NOT_AVAILABLE', kind: 'coordinator', code: 'unavailable' },
  16: { name: 'NOT_COORDINATOR', kind: 'coordinator', code: 'unavailable' },
  17: { name: 'INVALID_TOPIC_EXCEPTION', kind: 'refused', code: 'unknown_topic' },
  18: { name: 'RECORD_LIST_TOO_LARGE', kind: 'refused', code: 'record_too_large' },
  19: { name: 'NOT_ENOUGH_REPLICAS', kind: 'retry', code: 'unavailable' },
  20: { name: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', kind: 'retry', code: 'unavailable' },
  22: { name: 'ILLEGAL_GENERATION', kind: 'member', code: 'fenced' },
  23: { name: 'INCONSISTENT_GROUP_PROTOCOL', kind: 'refused', code: 'settings' },
  24: { name: 'INVALID_GROUP_ID', kind: 'refused', code: 'settings' },
  25: { name: 'UNKNOWN_MEMBER_ID', kind: 'member', code: 'fenced' },
  26: { name: 'INVALID_SESSION_TIMEOUT', kind: 'refused', code: 'settings' },
  27: { name: 'REBALANCE_IN_PROGRESS', kind: 'member', code: 'unavailable' },
  29: { name: 'TOPIC_AUTHORIZATION_FAILED', kind: 'refused', code: 'access' },
  30: { name: 'GROUP_AUTHORIZATION_FAILED', kind: 'refused', code: 'access' },
  31: { name: 'CLUSTER_AUTHORIZATION_FAILED', kind: 'refused', code: 'access' },
  // The record is too far ahead of the broker's clock: one of the clocks is wrong and may be corrected.
  32: { name: 'INVALID_TIMESTAMP', kind: 'refused', code: 'unavailable' },
  36: { name: 'TOPIC_ALREADY_EXISTS', kind: 'refused', code: 'state' },
  37: { name: 'INVALID_PARTITIONS', kind: 'refused', code: 'settings' },
  38: { name: 'INVALID_REPLICATION_FACTOR', kind: 'refused', code: 'settings' },
  40: { name: 'INVALID_CONFIG', kind: 'refused', code: 'settings' },
  // Only clusters with ZooKeeper; a KRaft broker forwards the request.
  41: { name: 'NOT_CONTROLLER', kind: 'leader', code: 'unavailable' },
  42: { name: 'INVALID_REQUEST', kind: 'refused', code: 'internal' },
  44: { name: 'POLICY_VIOLATION', kind: 'refused', code: 'settings' },
  45: { name: 'OUT_OF_ORDER_SEQUENCE_NUMBER', kind: 'refused', code: 'state' },
  46: { name: 'DUPLICATE_SEQUENCE_NUMBER', kind: 'refused', code: 'state' },
  47: { name: 'INVALID_PRODUCER_EPOCH', kind: 'fenced', code: 'fenced' },
  48: { name: 'INVALID_TXN_STATE', kind: 'fenced', code: 'fenced' },
  49: { name: 'INVALID_PRODUCER_ID_MAPPING', kind: 'fenced', code: 'fenced' },
  50: { name: 'INVALID_TRANSACTION_TIMEOUT', kind: 'refused', code: 'settings' },
  // The coordinator is still writing the markers of the previous transaction.
  51: { name: 'CONCURRENT_TRANSACTIONS', kind: 'retry', code: 'unavailable' },
  52: { name: 'TRANSACTION_COORDINATOR_FENCED', kind: 'coordinator', code: 'unavailable' },
  53: { name: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', kind: 'refused', code: 'access' },
  // Another partition of the same request was refused, so this one was not tried.
  55: { name: 'OPERATION_NOT_ATTEMPTED', kind: 'retry', code: 'unavailable' },
  56: { name: 'KAFKA_STORAGE_ERROR', kind: 'leader', code: 'unavailable' },
  59: { name: 'UNKNOWN_PRODUCER_ID', kind: 'fenced', code: 'fenced' },
  74: { name: 'FENCED_LEADER_EPOCH', kind: 'leader', code: 'unavailable' },
  75: { name: 'UNKNOWN_LEADER_EPOCH', kind: 'leader', code: 'unavailable' },
  78: { name: 'OFFSET_NOT_AVAILABLE', kind: 'leader', code: 'unavailable' },
  79: { name: 'MEMBER_ID_REQUIRED', kind: 'member', code: 'internal' },
  81: { name: 'GROUP_MAX_SIZE_REACHED', kind: 'refused', code: 'settings' },
  82: { name: 'FENCED_INSTANCE_ID', kind: 'member', code: 'fenced' },
  87: { name: 'INVALID_RECORD', kind: 'refused', code: 'invalid_data' },
  89: { name: 'THROTTLING_QUOTA_EXCEEDED', kind: 'retry', code: 'rate_limit' },
  90: { name: 'PRODUCER_FENCED', kind: 'fenced', code: 'fenced' },
  100: { name: 'UNKNOWN_TOPIC_ID', kind: 'leader', code: 'unknown_topic' },
  105: { name: 'TRANSACTIONAL_ID_NOT_FOUND', kind: 'fenced', code: 'fenced' },
};

/** An answer from the broker other than success. */
export class KafkaError extends FreshetError {
  readonly kind: ErrorKind;
  /** Kafka's number. */
  readonly number: number;

  constructor(number: number, what: string) {
    const meaning = MEANINGS[number];
    super(meaning?.code ?? 'internal', `${what}: Kafka answers ${meaning?.name ?? `error ${number}`}`);
    this.name = 'KafkaError';
    this.kind = meaning?.kind ?? 'refused';
    this.number = number;
  }
}

/** Throws unless the number means success. */
export function check(number: number, what: string): void {
  if (number !== 0) throw new KafkaError(number, what);
}

/** The connection broke, or no answer arrived in time. */
export class LinkError extends FreshetError {
  /** True if the request may have reached the broker: then its outcome is unknown. */
  readonly sent: boolean;

  constructor(code: 'connection' | 'timeout', message: string, sent: boolean, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'LinkError';
    this.sent = sent;
  }
}

/** True for errors that pass by themselves: connections, moving leaders and coordinators, busy brokers. */
export function passes(error: unknown): boolean {
  if (error instanceof LinkError) return true;
  return (
    error instanceof KafkaError && (error.kind === 'retry' || error.kind === 'leader' || error.kind === 'coordinator')
  );
}
