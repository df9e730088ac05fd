/** Reads a topic as it grows, from its beginning, and passes on every committed record once. */
import type { Log, LogReader, TopicPartition } from '../../../runtime/log/log.js';

const WAIT_MS = 100;

export interface LogRecord {
  readonly partition: number;
  readonly offset: number;
  /** Log time, ms. */
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: Buffer | null;
}

export class Follower {
  readonly topic: string;
  readonly #log: Log;
  readonly #visit: (record: LogRecord) => void;
  #reader: LogReader | null = null;
  #partitions: TopicPartition[] = [];

  constructor(log: Log, topic: string, visit: (record: LogRecord) => void) {
    this.#log = log;
    this.topic = topic;
    this.#visit = visit;
  }

  /** Reads up to the currently committed end. */
  async advance(): Promise<void> {
    this.#reader ??= await this.#open();
    const reader = this.#reader;
    const ends = await Promise.all(
      this.#partitions.map(async (at) => ({ at, end: (await this.#log.offsets(at)).lastStable })),
    );
    while (ends.some(({ at, end }) => reader.position(at) < end)) {
      for (const { partition, count, offsets, timestamps, bytes, ...columns } of await reader.poll()) {
        const { keyStart, keyEnd, valueStart, valueEnd } = columns;
        for (let row = 0; row < count; row++) {
          const isNull = valueStart[row]! < 0;
          this.#visit({
            partition,
            offset: offsets[row]!,
            timestamp: timestamps[row]!,
            key: keyStart[row]! < 0 ? null : bytes.toString('utf8', keyStart[row]!, keyEnd[row]!),
            value: isNull ? null : Buffer.from(bytes.subarray(valueStart[row]!, valueEnd[row]!)),
          });
        }
      }
    }
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    this.#reader = null;
  }

  async #open(): Promise<LogReader> {
    const { topic } = this;
    const count = await this.#log.partitionCount(topic);
    this.#partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
    const start = await Promise.all(
      this.#partitions.map(async (at) => ({ ...at, offset: (await this.#log.offsets(at)).earliest })),
    );
    return this.#log.reader(start, { isolation: 'read_committed', maxWaitMs: WAIT_MS });
  }
}
