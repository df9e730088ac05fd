/**
 * Records of one partition that were fetched and not yet applied, handed out as batches: the newest change per key, and
 * the offset up to which the batch speaks. Columns stay as they came until their batch is due, so waiting costs no
 * objects.
 */
import type { RecordColumns } from '../runtime/log.js';
import type { Codec } from '../schemas/codec.js';
import { type Change, isPoison, type KeyedTopic, type Poison, readChange } from './sinks/keyed-topic.js';

/** A record that goes to the dead letters. */
export interface PoisonRow {
  readonly columns: RecordColumns;
  readonly row: number;
  readonly poison: Poison;
}

export interface Batch {
  /** At most one per key. */
  readonly changes: readonly Change[];
  readonly poison: readonly PoisonRow[];
  /** First offset behind the batch. */
  readonly nextOffset: number;
  /** Log times of its records, ms. */
  readonly timestamps: readonly number[];
}

export interface BacklogOptions {
  readonly topic: KeyedTopic<never>;
  readonly codec: Codec;
  /** Partition count of the topic. */
  readonly partitions: number;
  /** Most changes in a batch. */
  readonly rowsMax: number;
}

/** Most bytes of records in a batch: bounds statements and scripts whose rows are large. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

export class Backlog {
  readonly #o: BacklogOptions;
  #queue: RecordColumns[] = [];
  /** First row of queue[0] that was not handed out. */
  #row = 0;
  /** Columns whose writers' schemas are known. */
  readonly #prepared = new WeakSet<RecordColumns>();
  #rows = 0;
  #bytes = 0;

  constructor(options: BacklogOptions) {
    this.#o = options;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  offer(columns: RecordColumns): void {
    this.#queue.push(columns);
    this.#rows += columns.count;
    for (let row = 0; row < columns.count; row++) this.#bytes += sizeOf(columns, row);
  }

  clear(): void {
    this.#queue = [];
    this.#row = 0;
    this.#rows = 0;
    this.#bytes = 0;
  }

  /** The next batch; null when nothing waits. Rejects, and takes nothing, when a writer's schema cannot be fetched. */
  async next(): Promise<Batch | null> {
    for (const columns of [...this.#queue]) {
      if (this.#prepared.has(columns)) continue;
      await this.#o.codec.prepare(columns.bytes, columns.count, columns.valueStart, columns.valueEnd);
      this.#prepared.add(columns);
    }
    const batch = new BatchBuilder();
    for (;;) {
      const columns = this.#queue[0];
      // Columns that came during the look-ups are not prepared yet: theirs is the next batch.
      if (columns === undefined || !this.#prepared.has(columns) || batch.isFull(this.#o.rowsMax)) break;
      this.#takeRows(columns, batch);
    }
    return batch.nextOffset < 0 ? null : batch;
  }

  #takeRows(columns: RecordColumns, batch: BatchBuilder): void {
    const { topic, codec, partitions, rowsMax } = this.#o;
    while (this.#row < columns.count && !batch.isFull(rowsMax)) {
      const row = this.#row++;
      const bytes = sizeOf(columns, row);
      this.#rows--;
      this.#bytes -= bytes;
      const read = readChange(topic, codec, columns, row, partitions);
      if (isPoison(read)) batch.poison.push({ columns, row, poison: read });
      else batch.newest.set(read.key, read);
      batch.timestamps.push(columns.timestamps[row]!);
      batch.bytes += bytes;
      batch.nextOffset = columns.offsets[row]! + 1;
    }
    if (this.#row < columns.count) return;
    batch.nextOffset = columns.nextOffset;
    this.#queue.shift();
    this.#row = 0;
  }
}

class BatchBuilder implements Batch {
  readonly newest = new Map<string, Change>();
  readonly poison: PoisonRow[] = [];
  readonly timestamps: number[] = [];
  nextOffset = -1;
  bytes = 0;

  get changes(): readonly Change[] {
    return [...this.newest.values()];
  }

  isFull(rowsMax: number): boolean {
    return this.newest.size + this.poison.length >= rowsMax || this.bytes >= BATCH_BYTES_MAX;
  }
}

function sizeOf(columns: RecordColumns, row: number): number {
  return columns.keyEnd[row]! - columns.keyStart[row]! + (columns.valueEnd[row]! - columns.valueStart[row]!);
}
