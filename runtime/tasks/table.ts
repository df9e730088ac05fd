/**
 * A compacted topic held in memory completely, by every process that shows it: it counts as ready once it is read to
 * the end at the time of opening, and is then kept current. A record that cannot be decoded is reported and leaves the
 * previous value.
 */
import type { Codec } from '../../schemas/codec.js';
import { partitionOf } from '../../topics/partition.js';
import type { Log, LogReader, RecordColumns } from '../log/log.js';
import type { Clock } from '../process/clock.js';
import { asError, isTransient } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import type { Service } from '../process/service.js';
import type { TaskTable } from './processor.js';

export interface GlobalTableOptions<T> {
  readonly topic: string;
  readonly log: Log;
  readonly codec: Codec;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What is kept of a record with a value. Throws SchemaError. */
  readonly project: (batch: RecordColumns, row: number) => T;
}

const RETRY_MS = { first: 1_000, most: 30_000 };

export class GlobalTable<T> implements Service, TaskTable {
  readonly topic: string;
  readonly #o: GlobalTableOptions<T>;
  readonly #values = new Map<string, { value: T | null; offset: number }>();
  readonly #listeners = new Set<(key: string) => void>();
  readonly #stop = new AbortController();
  #positions: number[] = [];
  #running: Promise<void> = Promise.resolve();
  #reader: LogReader | null = null;
  #problem: string | null = null;

  constructor(options: GlobalTableOptions<T>) {
    this.#o = options;
    this.topic = options.topic;
  }

  get name(): string {
    return `table ${this.topic}`;
  }

  /** Why it does not follow its topic at the moment; null while it does. */
  get problem(): string | null {
    return this.#problem;
  }

  get size(): number {
    return this.#values.size;
  }

  /** The newest value; null if it was deleted, undefined if the key was never there. */
  get(key: string): T | null | undefined {
    return this.#values.get(key)?.value;
  }

  positions(): number[] {
    return [...this.#positions];
  }

  *changedSince(offsets: readonly number[]): Iterable<string> {
    for (const [key, { offset }] of this.#values) {
      const partition = partitionOf(this.#positions.length, Buffer.from(key));
      if (offset >= (offsets[partition] ?? 0)) yield key;
    }
  }

  subscribe(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the table has reached the end of the topic at the time of the call. */
  async start(): Promise<void> {
    const { log } = this.#o;
    const partitions = await log.partitionCount(this.topic);
    const ends: number[] = [];
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, lastStable } = await log.offsets({ topic: this.topic, partition });
      this.#positions.push(earliest);
      ends.push(lastStable);
    }
    this.#open();
    while (this.#positions.some((position, partition) => position < ends[partition]!)) await this.#step();
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#reader?.close();
    await this.#running;
  }

  #open(): void {
    this.#reader = this.#o.log.reader(
      this.#positions.map((offset, partition) => ({ topic: this.topic, partition, offset })),
      { isolation: 'read_committed' },
    );
  }

  async #step(): Promise<void> {
    for (const batch of await this.#reader!.poll()) {
      await this.#o.codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
      for (let row = 0; row < batch.count; row++) this.#apply(batch, row);
      this.#positions[batch.partition] = batch.nextOffset;
    }
  }

  #apply(batch: RecordColumns, row: number): void {
    const keyStart = batch.keyStart[row]!;
    if (keyStart < 0) return;
    const key = batch.bytes.toString('utf8', keyStart, batch.keyEnd[row]!);
    const offset = batch.offsets[row]!;
    let value: T | null = null;
    if (batch.valueStart[row]! >= 0) {
      try {
        value = this.#o.project(batch, row);
      } catch (error) {
        const at = `${batch.topic}[${batch.partition}]@${offset}`;
        this.#o.logger.error({ event: 'table_record_unreadable', at, key, error: asError(error).message });
        return;
      }
    }
    this.#values.set(key, { value, offset });
    for (const listener of this.#listeners) listener(key);
  }

  /** Never gives up: a table that stands still would go unnoticed in what is computed with it. */
  async #follow(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      try {
        await this.#step();
        this.#problem = null;
        failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const { message } = asError(error);
        this.#problem = message;
        const retryMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(failures++, 10));
        const level = isTransient(error) ? 'warn' : 'error';
        this.#o.logger[level]({ event: 'table_read_failed', topic: this.topic, error: message, retry_in_ms: retryMs });
        await this.#o.clock.sleep(retryMs, this.#stop.signal);
        await this.#reader!.close();
        this.#open();
      }
    }
  }
}
