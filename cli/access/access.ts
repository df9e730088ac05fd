/** How a command reaches the topics: through the brokers, through the log on disk, or through a running Freshet. */

import type { InputKind } from '../../ingest/records.js';
import type { Log } from '../../runtime/log/log.js';
import type { RawRecord } from '../../serving/reading/decode.js';
import type { Position } from '../../serving/reading/raw-reader.js';

export interface PartitionState {
  readonly partition: number;
  readonly earliest: number;
  readonly last_stable: number;
  readonly high_watermark: number;
}

/** A declared topic as it is; without partitions when it does not exist yet. */
export interface TopicState {
  readonly name: string;
  readonly doc: string;
  readonly key: string;
  readonly schema: string;
  readonly cleanup: string;
  readonly owner: string;
  readonly partitions: number;
  readonly offsets: readonly PartitionState[];
}

export interface ReadOptions {
  /** Most records of one answer; behind HTTP at most 1,000. */
  readonly limit: number;
  /** With nothing to read, how long to wait, ms (at most 30,000). */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export interface ReadAnswer {
  readonly records: readonly RawRecord[];
  readonly next: readonly Position[];
}

export interface LineProblem {
  /** From 1. */
  readonly line: number;
  readonly error: string;
}

/** Takes checked records and writes them in batches. */
export interface RecordSink {
  /** Throws InputError when the record is wrong; then it is not taken. `line` is where it came from. */
  add(line: number, json: unknown): void;
  /** Enough has gathered for one write. */
  readonly isFull: boolean;
  /** Records taken and not yet written. */
  readonly waiting: number;
  /**
   * Writes what was taken; answers what the other side would not have. After an error nobody knows which of them were
   * written.
   */
  flush(): Promise<{ written: number; rejected: LineProblem[] }>;
  close(): Promise<void>;
}

export interface LogAccess {
  /** For messages: "Kafka at …", "the log in …", "the running Freshet at …". */
  readonly where: string;
  /** The log itself; null behind HTTP. */
  readonly log: Log | null;
  topics(): Promise<TopicState[]>;
  read(topic: string, start: readonly Position[], options: ReadOptions): Promise<ReadAnswer>;
  /** Errors: unknown_topic. */
  sink(kind: InputKind): Promise<RecordSink>;
  close(): Promise<void>;
}
