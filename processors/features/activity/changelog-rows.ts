/**
 * The (user, day) state as rows of the changelog. Key `<day>/<user>`; a row with more entries than a record may carry
 * continues in further chunks, `<day>.<chunk>/<user>`.
 */
import type { RecordColumns } from '../../../runtime/log/log.js';
import type { Output } from '../../../runtime/tasks/processor.js';
import type { EntityDays } from '../../../runtime/tasks/state/entity-days.js';
import type { FlushQueue } from '../../../runtime/tasks/state/flush-queue.js';
import type { Interner } from '../../../runtime/tasks/state/interner.js';
import type { ColumnSink, ColumnSource } from '../../../runtime/tasks/state/saved-columns.js';
import { AvroCursor, AvroWriter } from '../../../schemas/avro-writer.js';
import type { Codec } from '../../../schemas/codec.js';
import type { ActivityEntries } from './entries.js';

/** Entries per changelog record: a record stays below the maximum size even with the longest ids. */
const CHUNK_ENTRIES = 900;

interface ChangelogRowsOptions {
  readonly topic: string;
  /** Partition of the changelog that only this task writes. */
  readonly partition: number;
  /** The input partition that feeds the rows. */
  readonly inputPartition: number;
  readonly codec: Codec;
  readonly rows: EntityDays;
  readonly unflushed: FlushQueue;
  readonly entries: ActivityEntries;
  readonly users: Interner;
  readonly products: Interner;
  readonly categories: Interner;
}

export class ChangelogRows {
  readonly #o: ChangelogRowsOptions;
  /** Number of changelog records of rows that need, or once needed, more than one. */
  readonly #chunks = new Map<number, number>();
  readonly #writer = new AvroWriter();
  readonly #cursor = new AvroCursor();

  constructor(options: ChangelogRowsOptions) {
    this.#o = options;
  }

  /** Writes a row that includes every input record below `covers`. */
  write(row: number, covers: number, timestamp: number, out: Output): void {
    const { topic, partition, rows, entries, users } = this.#o;
    const options = { partition, timestamp };
    const length = entries.lengthOf(row);
    const chunks = chunksOf(length);
    const user = users.stringOf(rows.entity[row]!);
    const day = rows.day[row]!;
    let entry = entries.first(row);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const inChunk = Math.min(CHUNK_ENTRIES, length - chunk * CHUNK_ENTRIES);
      const value = inChunk <= 0 ? null : this.#encode(covers, entry, inChunk);
      for (let i = 0; i < inChunk; i++) entry = entries.next(entry);
      out.add(topic, rowKey(day, chunk, user), value, options);
    }
    const before = this.#chunks.get(row) ?? 1;
    for (let chunk = chunks; chunk < before; chunk++) out.add(topic, rowKey(day, chunk, user), null, options);
    if (chunks > before) this.#chunks.set(row, chunks);
  }

  #encode(covers: number, first: number, count: number): Buffer {
    const { codec, inputPartition, entries, products, categories } = this.#o;
    const writer = this.#writer.begin(codec.prefix('ActivityRow')).long(inputPartition).long(covers).long(count);
    for (let i = 0, entry = first; i < count; i++, entry = entries.next(entry)) {
      const product = entries.product[entry]!;
      const category = entries.category[entry]!;
      writer.bytes(products.arena, products.startOf(product), products.endOf(product));
      if (category < 0) writer.long(0);
      else writer.long(1).bytes(categories.arena, categories.startOf(category), categories.endOf(category));
      writer
        .double(entries.sum[entry]!)
        .long(entries.count[entry]!)
        .long(entries.lastTs[entry]!)
        .long(entries.purchases[entry]!);
    }
    return writer.long(0).finish();
  }

  /**
   * Applies a record of the changelog; those of other input partitions are ignored. Errors: FreshetError 'state' if it
   * was written with another schema, as by another version of the fold.
   */
  restore(batch: RecordColumns, i: number): void {
    const { codec, inputPartition, rows, unflushed, entries, users, products, categories } = this.#o;
    const { day, chunk, userStart } = parseRowKey(batch, i);
    const keyEnd = batch.keyEnd[i]!;
    const valueStart = batch.valueStart[i]!;
    if (valueStart < 0) {
      const user = users.find(batch.bytes, userStart, keyEnd);
      const row = user < 0 ? -1 : rows.find(user, day);
      if (row >= 0) entries.truncate(row, chunk * CHUNK_ENTRIES);
      return;
    }
    const body = codec.bodyStart('ActivityRow', batch.bytes, valueStart, batch.valueEnd[i]!);
    const cursor = this.#cursor.reset(batch.bytes, body, batch.valueEnd[i]!);
    if (cursor.long() !== inputPartition) return;
    const covers = cursor.long();
    const row = rows.obtain(users.intern(batch.bytes, userStart, keyEnd), day);
    if (rows.created) entries.open(row);
    entries.truncate(row, chunk * CHUNK_ENTRIES);
    unflushed.restored(row, covers);
    this.#atLeast(row, chunk + 1);
    for (let block = cursor.long(); block !== 0; block = cursor.long()) {
      for (let k = 0; k < block; k++) {
        const productStart = cursor.bytesStart();
        const product = products.intern(batch.bytes, productStart, cursor.at);
        let category = -1;
        if (cursor.long() === 1) {
          const categoryStart = cursor.bytesStart();
          category = categories.intern(batch.bytes, categoryStart, cursor.at);
        }
        const entry = entries.append(row, product, category);
        entries.sum[entry] = cursor.double();
        entries.count[entry] = cursor.long();
        entries.lastTs[entry] = cursor.long();
        entries.purchases[entry] = cursor.long();
      }
    }
  }

  /**
   * Called before a row is emptied. After a restore from a checkpoint, the row may since have been flushed at any
   * length up to this one: its records beyond the first must be deleted with it, or a later restore would find them.
   */
  emptied(row: number): void {
    this.#atLeast(row, chunksOf(this.#o.entries.lengthOf(row)));
  }

  /** A row has left the window for good. */
  dropped(row: number): void {
    this.#chunks.delete(row);
  }

  save(into: ColumnSink): void {
    into.share('chunks', Int32Array.from([...this.#chunks].flat()));
  }

  load(from: ColumnSource): void {
    const chunks = from.take('chunks', Int32Array);
    for (let i = 0; i < chunks.length; i += 2) this.#chunks.set(chunks[i]!, chunks[i + 1]!);
  }

  #atLeast(row: number, chunks: number): void {
    if (chunks > (this.#chunks.get(row) ?? 1)) this.#chunks.set(row, chunks);
  }
}

function chunksOf(length: number): number {
  return Math.max(1, Math.ceil(length / CHUNK_ENTRIES));
}

function rowKey(day: number, chunk: number, user: string): Buffer {
  return Buffer.from(chunk === 0 ? `${day}/${user}` : `${day}.${chunk}/${user}`);
}

function parseRowKey(batch: RecordColumns, i: number): { day: number; chunk: number; userStart: number } {
  const { bytes } = batch;
  let at = batch.keyStart[i]!;
  let day = 0;
  let chunk = 0;
  for (; bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at++) day = day * 10 + bytes[at]! - 0x30;
  if (bytes[at] === 0x2e)
    for (at++; bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at++) chunk = chunk * 10 + bytes[at]! - 0x30;
  return { day, chunk, userStart: at + 1 };
}
