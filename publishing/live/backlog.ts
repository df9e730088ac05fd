/**
 * Records of one partition that were fetched and not yet applied, handed out as batches: the newest change per key, and
 * the offset up to which the batch reaches. Columns stay in their original form until their batch is due, so pending
 * records cost no objects, and only the newest record of each key in a batch is decoded. That is how a slow store keeps
 * up: the more is pending, the more is skipped.
 */
import type { RecordColumns } from '../../runtime/log/log.js';
import type { Codec } from '../../schemas/codec.js';
import { type Change, isPoison, type KeyedTopic, type Poison, readKey, readValue } from '../sinks/keyed-topic.js';

/** A record that goes to the dead letters. */
export interface PoisonRow {
  readonly columns: RecordColumns;
  readonly row: number;
  readonly poison: Poison;
}

export interface Batch {
  /** At most one per key. */
  readonly changes: readonly Change[];
  /** Unreadable newest records. A record followed by a newer one of the same key is not decoded. */
  readonly poison: readonly PoisonRow[];
  /** First offset after the batch. */
  readonly nextOffset: number;
  /** Log times of its records, ms. */
  readonly timestamps: readonly number[];
}

interface BacklogOptions {
  readonly topic: KeyedTopic<never>;
  readonly codec: Codec;
  /** Partition count of the topic. */
  readonly partitions: number;
  /** Most changes in a batch while no more than that are pending. */
  readonly rowsMax: number;
  /** Most changes in a batch however many are pending: a store that is behind has less to do if more is coalesced. */
  readonly pressedRowsMax: number;
  /** Most bytes of a batch's newest records: bounds statements and scripts whose rows are large. */
  readonly batchBytesMax: number;
}

/** What a pending record takes in addition to its bytes: its positions in the columns. */
const ROW_BYTES = 32;

/** The newest record of a key, and the earlier ones of the same key in the batch. */
interface Entry {
  readonly columns: RecordColumns;
  readonly row: number;
  readonly bytes: number;
  readonly older: Entry | null;
}

export class Backlog {
  readonly #o: BacklogOptions;
  #queue: RecordColumns[] = [];
  /** First row of queue[0] that was not yet handed out. */
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

  /** Memory taken by pending records. */
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

  /**
   * The next batch, of at most `rowsLimit` changes; null if nothing is pending. Rejects, and takes nothing, if a
   * writer's schema cannot be fetched.
   */
  async next(rowsLimit = this.#o.pressedRowsMax): Promise<Batch | null> {
    for (const columns of [...this.#queue]) {
      if (this.#prepared.has(columns)) continue;
      await this.#o.codec.prepare(columns.bytes, columns.count, columns.valueStart, columns.valueEnd);
      this.#prepared.add(columns);
    }
    const before = { queue: [...this.#queue], row: this.#row, rows: this.#rows, bytes: this.#bytes };
    try {
      return this.#take(rowsLimit);
    } catch (error) {
      // The taken records are in no batch: they must be handed out again, or the store would never get them.
      this.#queue = before.queue;
      this.#row = before.row;
      this.#rows = before.rows;
      this.#bytes = before.bytes;
      throw error;
    }
  }

  #take(rowsLimit: number): Batch | null {
    const { rowsMax, batchBytesMax } = this.#o;
    const batch = new BatchBuilder(Math.min(Math.max(rowsMax, this.#rows), rowsLimit), batchBytesMax);
    for (;;) {
      const columns = this.#queue[0];
      // Columns that arrived during the look-ups are not prepared yet: they go into the next batch.
      if (columns === undefined || !this.#prepared.has(columns) || batch.isFull) break;
      this.#takeRows(columns, batch);
    }
    if (batch.nextOffset < 0) return null;
    batch.read(this.#o);
    return batch;
  }

  #takeRows(columns: RecordColumns, batch: BatchBuilder): void {
    const { topic, partitions } = this.#o;
    while (this.#row < columns.count && !batch.isFull) {
      const row = this.#row++;
      const bytes = sizeOf(columns, row);
      this.#rows--;
      this.#bytes -= bytes;
      const key = readKey(topic, columns, row, partitions);
      if (isPoison(key)) batch.poison.push({ columns, row, poison: key });
      else batch.add(key, columns, row, bytes);
      batch.timestamps.push(columns.timestamps[row]!);
      batch.nextOffset = columns.offsets[row]! + 1;
    }
    if (this.#row < columns.count) return;
    batch.nextOffset = columns.nextOffset;
    this.#queue.shift();
    this.#row = 0;
  }
}

class BatchBuilder implements Batch {
  readonly changes: Change[] = [];
  readonly poison: PoisonRow[] = [];
  readonly timestamps: number[] = [];
  nextOffset = -1;
  readonly #rowsMax: number;
  readonly #bytesMax: number;
  readonly #newest = new Map<string, Entry>();
  /** Bytes of the newest records. */
  #bytes = 0;

  constructor(rowsMax: number, bytesMax: number) {
    this.#rowsMax = rowsMax;
    this.#bytesMax = bytesMax;
  }

  get isFull(): boolean {
    return this.#newest.size + this.poison.length >= this.#rowsMax || this.#bytes >= this.#bytesMax;
  }

  add(key: string, columns: RecordColumns, row: number, bytes: number): void {
    const older = this.#newest.get(key) ?? null;
    this.#bytes += bytes - (older?.bytes ?? 0);
    this.#newest.set(key, { columns, row, bytes, older });
  }

  /** Decodes the newest record of each key; if it is poison, the previous one is used. */
  read({ topic, codec }: BacklogOptions): void {
    for (const [key, newest] of this.#newest) {
      for (let entry: Entry | null = newest; entry !== null; entry = entry.older) {
        const { columns, row } = entry;
        const read = readValue(topic, codec, columns, row, key);
        if (!isPoison(read)) {
          this.changes.push(read);
          break;
        }
        this.poison.push({ columns, row, poison: read });
      }
    }
    this.#newest.clear();
  }
}

function sizeOf(columns: RecordColumns, row: number): number {
  return (
    ROW_BYTES +
    Math.max(0, columns.keyEnd[row]! - columns.keyStart[row]!) +
    Math.max(0, columns.valueEnd[row]! - columns.valueStart[row]!)
  );
}
