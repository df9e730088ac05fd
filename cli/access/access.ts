/** How a command reaches the topics: through the brokers, the log on disk, or a running Freshet. */
import type { InputKind } from '../../ingest/records.js';
import type { Log } from '../../runtime/log/log.js';
import type { RawRecord } from '../../serving/reading/decode.js';
import type { Position } from '../../serving/reading/raw-reader.js';
import type { TopicState } from '../../serving/reading/topic-states.js';

export interface ReadOptions {
  /** Most records of one response; over HTTP at most 1,000. */
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

/** Accepts checked records and writes them in batches. */
export interface RecordSink {
  /** Throws InputError if the record is invalid; then it is not accepted. `line` is its line in the input. */
  add(line: number, json: unknown): void;
  /** Enough records have been collected for one write. */
  readonly isFull: boolean;
  /** Records accepted but not yet written. */
  readonly waiting: number;
  /**
   * Writes the accepted records; returns those the other side rejected. After an error it is unknown which of them were
   * written.
   */
  flush(): Promise<{ written: number; rejected: LineProblem[] }>;
  close(): Promise<void>;
}

export interface LogAccess {
  /** For messages: "Kafka at …", "the log in …", "the running Freshet at …". */
  readonly where: string;
  /** The log itself; null over HTTP. */
  readonly log: Log | null;
  topics(): Promise<TopicState[]>;
  read(topic: string, start: readonly Position[], options: ReadOptions): Promise<ReadAnswer>;
  /** Errors: unknown_topic. */
  sink(kind: InputKind): Promise<RecordSink>;
  close(): Promise<void>;
}
