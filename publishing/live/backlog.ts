/**
 * Records of one partition that were fetched and not yet applied, handed out as batches: the newest change per key, and
 * the offset up to which the batch speaks. Columns stay as they came until their batch is due, so waiting costs no
 * objects; and of a key's records in a batch only the newest is decoded. That is what lets a slow store keep up: the
 * more waits, the more of it is passed over.
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
  /** What could not be read of the newest records; one that a newer record of its key follows is not looked at. */
  readonly poison: readonly PoisonRow[];
  /** First offset behind the batch. */
  readonly nextOffset: number;
  /** Log times of its records, ms. */
  readonly timestamps: readonly number[];
}

interface BacklogOptions {
  readonly topic: KeyedTopic<never>;
  readonly codec: Codec;
  /** Partition count of the topic. */
  readonly partitions: number;
  /** Most changes in a batch while no more than that wait. */
  readonly rowsMax: number;
  /** Most changes in a batch however many wait: the store is behind, and the more is coalesced the less it has to do. */
  readonly pressedRowsMax: number;
  /** Most bytes of a batch's newest records: bounds statements and scripts whose rows are large. */
  readonly batchBytesMax: number;
}

/** What a waiting record takes beside its bytes: its places in the columns. */
const ROW_BYTES = 32;

/** A record of a key, and those of the same key before it in the batch. */
interface Entry {
  readonly columns: RecordColumns;
  readonly row: number;
  readonly bytes: number;
  readonly older: Entry | null;
}

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

  /** Memory that waits here. */
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
   * The next batch, of `rowsLimit` changes at most; null when nothing waits. Rejects, and takes nothing, when a writer's
   * schema cannot be fetched.
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
      // What was taken is in no batch: it must come again, or the store would lack it for ever.
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
      // Columns that came during the look-ups are not prepared yet: theirs is the next batch.
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
  /** Of the newest records. */
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

  /** Decodes the newest record of each key; where it is poison, the one before it stands. */
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
