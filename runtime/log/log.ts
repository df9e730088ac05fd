/**
 * The log port: partitioned, ordered, transactional topics. Two implementations, `kafka/` and `embedded/`, pass the
 * same conformance suite (test/conformance/log.ts). Records cross it as columns over a buffer, never as one object
 * each: a record costs no allocation until somebody wants its contents. Every error is a FreshetError with a code of the closed list.
 */

/** Records of one partition in offset order. Row i's key is bytes[keyStart[i]..keyEnd[i]); a start of -1 is a null. */
export interface RecordColumns {
  readonly topic: string;
  readonly partition: number;
  /** Number of rows; the arrays may be longer. May be 0 when only control or aborted records were skipped. */
  readonly count: number;
  readonly offsets: Float64Array;
  /** Log time in ms since 1970: append time or create time, depending on the topic's configuration. */
  readonly timestamps: Float64Array;
  readonly bytes: Buffer;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  /** The offset to read next: after the last row and any control and aborted records that follow it. */
  readonly nextOffset: number;
  /**
   * Rows that stand for a batch none of whose records can be read, by row, with the reason. Such a row has the batch's
   * first offset, no key, and the batch's bytes as its value, so every reader rejects it.
   */
  readonly unreadable?: ReadonlyMap<number, string>;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Offsets of one partition at one moment. */
export interface PartitionOffsets {
  /** First offset still in the log. */
  readonly earliest: number;
  /** End for read_committed readers: no record below belongs to an open transaction. */
  readonly lastStable: number;
  /** End for read_uncommitted readers. */
  readonly highWatermark: number;
  /** Compacted topics: values that records below this offset have replaced may be gone. Absent where it is unknown. */
  readonly compacted?: number;
}

/** Where a reader starts. */
export interface ReaderStart extends TopicPartition {
  readonly offset: number;
  /**
   * The reader is after the newest value of every key below this offset. While it is open, no newer record replaces one
   * of them in the embedded log; opening it throws 'offset_out_of_range' if that has happened already. Brokers keep
   * them for min.compaction.lag.ms.
   */
  readonly until?: number | undefined;
}

export type Cleanup = 'delete' | 'compact' | 'compact,delete';

/** A topic's configuration in the log. Times in ms; a retention of -1 means for ever. */
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
  /** Names of all topics, without the broker's internal ones. */
  listTopics(): Promise<string[]>;
  /** Null if the topic does not exist. */
  describeTopic(name: string): Promise<TopicConfig | null>;
  /**
   * Differs when a topic is deleted and created again, and when the log has lost acknowledged records and gives their
   * offsets out again; null where the log has no ids. Throws 'unknown_topic'.
   */
  topicId(name: string): Promise<string | null>;
  /** Creates a topic with all settings at once; an existing topic is an error. Replication: min(3, brokers). */
  createTopic(config: TopicConfig): Promise<void>;
  deleteTopic(name: string): Promise<void>;
}

export type Isolation = 'read_committed' | 'read_uncommitted';

export interface ReaderOptions {
  readonly isolation?: Isolation;
  /** Longest time that a poll waits for data, ms (default 250). */
  readonly maxWaitMs?: number;
  /** Largest number of bytes fetched per partition and poll (default 1 MiB). */
  readonly maxBytesPerPartition?: number;
  /**
   * While few records arrive, the reader waits at least this many ms between two requests to a broker (default 0), so
   * that an answer carries several records instead of one. The embedded log ignores it: its answers cost nothing.
   */
  readonly gapMs?: number;
}

/**
 * Reads chosen partitions from chosen offsets; stores no offsets anywhere. While the caller works on one answer, the
 * next one may already be fetched (at most one ahead).
 */
export interface LogReader {
  /**
   * Waits up to maxWaitMs for records. May return an empty list; a RecordColumns with count 0 only moves the position.
   * Errors: 'offset_out_of_range' when a position lies below the log's start or above its end (never reset silently).
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
   * create time. Errors: 'record_too_large' above 512 KiB; 'unknown_topic'.
   */
  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options?: AddOptions): void;
  readonly bufferedRecords: number;
  readonly bufferedBytes: number;
  /** Writes the buffer; resolves once the log has it. After an error the buffer is empty and the outcome unknown. */
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
  /** Fences every earlier writer with the same transactional id and ends its open transaction; must be called first. */
  init(): Promise<void>;
  /**
   * Writes everything buffered in one transaction: read_committed readers see all of it or nothing.
   * Errors: 'fenced' when a newer writer has taken the id; 'indefinite_commit' when the outcome is unknown (then this
   * writer is dead: make a new one, init it, and read back what the log holds).
   */
  commit(): Promise<void>;
  /** Drops the buffer. */
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
  /** Number of tasks: 0 .. tasks-1, each assigned to exactly one member. */
  readonly tasks: number;
  /** Input partitions of each task, for lag displays and for tools that inspect the group. */
  readonly partitionsOf: (task: number) => readonly TopicPartition[];
  readonly sessionTimeoutMs?: number;
  /** Called before tasks are given up or kept; must resolve before the next assignment. Serial with onAssigned. */
  readonly onRevoked: () => Promise<void>;
  readonly onAssigned: (assignment: Assignment) => Promise<void>;
  /** The membership has ended permanently, with an error. */
  readonly onFailed: (error: Error) => void;
}

/** Membership in a group that distributes whole tasks, sticky where possible. */
export interface Membership {
  /** Resolves at the first heartbeat answer after the call that confirms this generation; false if it has ended. */
  confirmed(): Promise<boolean>;
  /** Writes offsets for lag displays only; they are never read back. Errors are reported, not thrown. */
  showOffsets(offsets: readonly (TopicPartition & { offset: number })[]): Promise<void>;
  leave(): Promise<void>;
}

export interface Log {
  readonly kind: 'kafka' | 'embedded';
  readonly admin: LogAdmin;
  partitionCount(topic: string): Promise<number>;
  offsets(partition: TopicPartition): Promise<PartitionOffsets>;
  /** First offset with a log time ≥ ms; null if there is none yet. */
  offsetForTime(partition: TopicPartition, ms: number): Promise<number | null>;
  reader(start: readonly ReaderStart[], options?: ReaderOptions): LogReader;
  /** `topics` must exist; their partition counts are read at this call. */
  writer(topics: readonly string[]): Promise<LogWriter>;
  transactionalWriter(transactionalId: string, topics: readonly string[]): Promise<TransactionalWriter>;
  join(options: MembershipOptions): Promise<Membership>;
  /** The offsets that a group shows for lag displays: -1 where there is none. */
  shownOffsets(group: string, partitions: readonly TopicPartition[]): Promise<number[]>;
  close(): Promise<void>;
}

/** The largest record that we ever write. */
export const RECORD_BYTES_MAX = 512 * 1024;
