/**
 * The log port: partitioned, ordered, transactional topics. Two implementations, `kafka/` and `embedded/`, pass the
 * same conformance suite (test/conformance/log.ts). Records cross it as columns over a buffer, never as one object
 * each: a record costs no allocation until somebody wants its contents.
 */

/** Records of one partition in offset order. Row i's key is bytes[keyStart[i]..keyEnd[i]); a start of -1 is a null. */
export interface RecordColumns {
  readonly topic: string;
  readonly partition: number;
  /** Number of rows; the arrays may be longer. May be 0 when only control or aborted records were passed over. */
  readonly count: number;
  readonly offsets: Float64Array;
  /** Log time in ms since 1970: append time or create time, as the topic is configured. */
  readonly timestamps: Float64Array;
  readonly bytes: Buffer;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  /** Where to read next: past the last row, and past control and aborted records behind it. */
  readonly nextOffset: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Offsets of one partition at one moment. */
export interface PartitionOffsets {
  /** First offset still in the log. */
  readonly earliest: number;
  /** End for read_committed readers: everything below belongs to no open transaction. */
  readonly lastStable: number;
  /** End for read_uncommitted readers. */
  readonly highWatermark: number;
}

export type Cleanup = 'delete' | 'compact' | 'compact,delete';

/** What a topic looks like in the log. Times in ms; -1 retention means for ever. */
export interface TopicConfig {
  readonly name: string;
  readonly partitions: number;
  readonly cleanup: Cleanup;
  readonly retentionMs: number;
  readonly logAppendTime: boolean;
  /** Every other setting, by its Kafka name (`segment.ms`, `min.compaction.lag.ms`, `delete.retention.ms`, …). */
  readonly settings: Readonly<Record<string, string>>;
}

export interface LogAdmin {
  /** Names of all topics, internal ones of the broker left out. */
  listTopics(): Promise<string[]>;
  /** Null where the topic does not exist. */
  describeTopic(name: string): Promise<TopicConfig | null>;
  /** Tells a topic from another one made later under its name; null where the log cannot. Errors: 'unknown_topic'. */
  topicId(name: string): Promise<string | null>;
  /** Creates with all settings at once; a topic that exists already is an error. Replication: min(3, brokers). */
  createTopic(config: TopicConfig): Promise<void>;
  deleteTopic(name: string): Promise<void>;
}

export type Isolation = 'read_committed' | 'read_uncommitted';

export interface ReaderOptions {
  readonly isolation?: Isolation;
  /** Longest time one poll waits for data, ms (default 250). */
  readonly maxWaitMs?: number;
  /** Most bytes fetched per partition and poll (default 1 MiB). */
  readonly maxBytesPerPartition?: number;
  /**
   * While little comes, a broker is asked again after so many ms at the earliest (default 0), so that it answers for some
   * records at a time and not for every one. The embedded log answers for nothing: it has no use for it.
   */
  readonly gapMs?: number;
}

/**
 * Reads chosen partitions from chosen offsets; keeps no offsets of its own anywhere. While the caller works on one
 * answer the next one may be fetched already (at most one ahead).
 */
export interface LogReader {
  /**
   * Waits up to maxWaitMs for records. May return an empty list; a RecordColumns with count 0 only moves the position.
   * Errors: OffsetOutOfRangeError when a position lies below the log's start or above its end (never reset silently).
   */
  poll(): Promise<RecordColumns[]>;
  /** Next offset that will be returned, per partition. */
  position(partition: TopicPartition): number;
  /** Stops returning a partition's records until resume; its position stays. */
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  close(): Promise<void>;
}

/** Collects records and writes them with acks=all. Records of one partition keep the order in which they were added. */
export interface LogWriter {
  /**
   * Buffers one record. Without `partition` it goes to murmur2(key) mod n. `timestamp` (ms) is kept only by topics with
   * create time. Errors: RecordTooLargeError above 512 KiB; UnknownTopicError.
   */
  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options?: AddOptions): void;
  readonly bufferedRecords: number;
  readonly bufferedBytes: number;
  /** Writes what is buffered; resolves once the log has it. An error leaves nothing buffered: what became of it is unknown. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface AddOptions {
  readonly partition?: number;
  readonly timestamp?: number;
}

/** A writer whose flush is one atomic transaction. */
export interface TransactionalWriter {
  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options?: AddOptions): void;
  readonly bufferedRecords: number;
  readonly bufferedBytes: number;
  /**
   * Fences every earlier writer with the same transactional id and ends its open transaction; must come first.
   */
  init(): Promise<void>;
  /**
   * Writes everything buffered in one transaction: read_committed readers see all of it or nothing.
   * Errors: FencedError when a newer writer has taken the id; IndefiniteCommitError when the outcome is unknown
   * (then this writer is dead: make a new one, init it, and read back what the log holds).
   */
  commit(): Promise<void>;
  /** Forgets what is buffered. */
  discard(): void;
  close(): Promise<void>;
}

/** One member's share of an application's tasks. */
export interface Assignment {
  readonly generation: number;
  readonly tasks: readonly number[];
}

export interface MembershipOptions {
  readonly group: string;
  /** How many tasks there are: 0 .. tasks-1, each given to exactly one member. */
  readonly tasks: number;
  /** Input partitions of each task, for lag displays and for tools that show the group. */
  readonly partitionsOf: (task: number) => readonly TopicPartition[];
  readonly sessionTimeoutMs?: number;
  /** Called before tasks are given up or kept; must resolve before the next assignment is taken. Serial with onAssigned. */
  readonly onRevoked: () => Promise<void>;
  readonly onAssigned: (assignment: Assignment) => Promise<void>;
  /** The membership has ended for good with an error. */
  readonly onFailed: (error: Error) => void;
}

/** Membership in a group that shares out whole tasks, sticky where possible. */
export interface Membership {
  /** Resolves at the first heartbeat answered after the call that still confirms this generation; false if it ended. */
  confirmed(): Promise<boolean>;
  /** Writes offsets for lag displays only; nothing ever reads them back. Errors are reported, not thrown. */
  showOffsets(offsets: readonly (TopicPartition & { offset: number })[]): Promise<void>;
  leave(): Promise<void>;
}

export interface Log {
  readonly kind: 'kafka' | 'embedded';
  readonly admin: LogAdmin;
  partitionCount(topic: string): Promise<number>;
  offsets(partition: TopicPartition): Promise<PartitionOffsets>;
  /** First offset whose log time is ≥ ms; null when there is none yet. */
  offsetForTime(partition: TopicPartition, ms: number): Promise<number | null>;
  reader(start: readonly (TopicPartition & { offset: number })[], options?: ReaderOptions): LogReader;
  /** `topics` must exist; their partition counts are read now. */
  writer(topics: readonly string[]): Promise<LogWriter>;
  transactionalWriter(transactionalId: string, topics: readonly string[]): Promise<TransactionalWriter>;
  join(options: MembershipOptions): Promise<Membership>;
  /** Committed display offsets of a group: -1 where there is none. */
  shownOffsets(group: string, partitions: readonly TopicPartition[]): Promise<number[]>;
  close(): Promise<void>;
}

/** The largest record we ever write. */
export const RECORD_BYTES_MAX = 512 * 1024;
