/**
 * Rows of a state that the changelog does not have as they are, and the flush that writes them there, some with every
 * commit. A row is a small number that its owner gives, and may give again once the row is forgotten or dropped; nothing
 * is allocated per row.
 *
 *   clean → markDirty: dirty → begin: flushing → visit, committed: clean
 *
 * A row that changes while it waits in the running flush is written as it is by then. A row that has become empty leaves
 * in two steps. First a row is written that says so and what it counts: with nothing there, a restore would fold records
 * from before into a new row. Once none of them can be read again, its deletion is written and it is dropped.
 */
import { capacityFor, enlarged, IntList } from './columns.js';
import type { ColumnSink, ColumnSource } from './saved-columns.js';

const CLEAN = 0;
const DIRTY = 1;
const FLUSHING = 2;

export class FlushQueue {
  #states = new Uint8Array(1024);
  #dirty = new IntList();
  #flushing = new IntList();
  /** How far the running flush is in the log, and how far the commit on its way has come. */
  #written = 0;
  #visited = 0;
  #isComplete = true;
  /** No record below is folded again. */
  #restoreFrom = 0;
  /** Rows without content that the changelog still has, and the offset of the record that emptied each. */
  readonly #emptied = new Map<number, number>();
  /** Per row: the changelog's row counts every record below; only while restoring. */
  #covers: Float64Array | null = null;
  readonly #onDropped: (row: number) => void;

  /** `onDropped`: an empty row has left the changelog. */
  constructor(onDropped: (row: number) => void = () => undefined) {
    this.#onDropped = onDropped;
  }

  /** Rows that the next flush would visit, at most: some may have been forgotten since. */
  get size(): number {
    return this.#dirty.length;
  }

  /** Whether all of the last flush was in the log at the last committed(). */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** The row has changed, and holds something. */
  markDirty(row: number): void {
    if (this.#emptied.size > 0) this.#emptied.delete(row);
    this.#add(row);
  }

  /** The record at this offset has left nothing in the row. */
  markEmptied(row: number, offset: number): void {
    this.#emptied.set(row, offset);
    this.#add(row);
  }

  /** The row has left memory: the changelog keeps what it has of it, and nothing more is written. */
  forget(row: number): void {
    if (row < this.#states.length) this.#states[row] = CLEAN;
    if (this.#covers !== null && row < this.#covers.length) this.#covers[row] = 0;
    this.#emptied.delete(row);
  }

  /** Begins a flush of what is dirty now; no record below `restoreFrom` is folded again, whatever happens. */
  begin(restoreFrom: number): void {
    const list = this.#flushing;
    list.clear();
    this.#flushing = this.#dirty;
    this.#dirty = list;
    this.#written = 0;
    this.#visited = 0;
    this.#isComplete = false;
    this.#restoreFrom = restoreFrom;
    for (let i = 0; i < this.#flushing.length; i++) {
      const row = this.#flushing.at(i);
      if (this.#states[row] === DIRTY) this.#states[row] = FLUSHING;
    }
  }

  /**
   * Visits up to `max` rows of the running flush, from where the last commit ended; with the same effect until
   * committed(). `isOver`: the row's deletion is to be written.
   */
  visit(max: number, write: (row: number, isOver: boolean) => void): void {
    let at = this.#written;
    for (let visited = 0; at < this.#flushing.length && visited < max; at++) {
      const row = this.#flushing.at(at);
      if (this.#states[row] !== FLUSHING) continue;
      write(row, this.#isOver(row));
      visited++;
    }
    this.#visited = at;
  }

  /** What was visited is in the log. */
  committed(): void {
    for (; this.#written < this.#visited; this.#written++) {
      const row = this.#flushing.at(this.#written);
      if (this.#states[row] !== FLUSHING) continue;
      this.#states[row] = CLEAN;
      if (this.#isOver(row)) {
        this.#emptied.delete(row);
        this.#onDropped(row);
      } else if (this.#emptied.has(row)) this.#add(row);
    }
    this.#isComplete = this.#written >= this.#flushing.length;
  }

  /** Before the rows of the changelog are taken over. */
  beginRestore(): void {
    this.#covers = new Float64Array(1024);
  }

  /** The changelog's row, in place of an older one: it counts every record below `covers`. */
  restored(row: number, covers: number, isEmpty = false): void {
    const capacity = capacityFor(row + 1, this.#covers!.length);
    if (capacity > this.#covers!.length) this.#covers = enlarged(this.#covers!, capacity);
    this.#covers![row] = covers;
    if (isEmpty) this.#emptied.set(row, covers - 1);
    else this.#emptied.delete(row);
  }

  /** Whether the row counts the record at this offset already. */
  isCovered(row: number, offset: number): boolean {
    return this.#covers !== null && row < this.#covers.length && offset < this.#covers[row]!;
  }

  endRestore(): void {
    this.#covers = null;
    for (const row of this.#emptied.keys()) this.#add(row);
  }

  /** After committed() only. */
  save(into: ColumnSink): void {
    const waiting = new Int32Array(this.#dirty.length + this.#flushing.length - this.#written);
    let count = 0;
    for (let i = 0; i < this.#dirty.length; i++) {
      const row = this.#dirty.at(i);
      if (this.#states[row] === DIRTY) waiting[count++] = row;
    }
    for (let i = this.#written; i < this.#flushing.length; i++) {
      const row = this.#flushing.at(i);
      if (this.#states[row] === FLUSHING) waiting[count++] = row;
    }
    into.copy('rows', waiting, count);
    into.share('emptied', Float64Array.from([...this.#emptied].flat()));
  }

  /** In place of an empty queue: the rows that the changelog did not have then, those of a running flush too. */
  load(from: ColumnSource): void {
    for (const row of from.take('rows', Int32Array)) this.#add(row);
    const emptied = from.take('emptied', Float64Array);
    for (let i = 0; i < emptied.length; i += 2) this.#emptied.set(emptied[i]!, emptied[i + 1]!);
  }

  #isOver(row: number): boolean {
    if (this.#emptied.size === 0) return false;
    const offset = this.#emptied.get(row);
    return offset !== undefined && offset < this.#restoreFrom;
  }

  #add(row: number): void {
    const before = this.#states.length;
    if (row >= before) this.#states = enlarged(this.#states, capacityFor(row + 1, before));
    if (this.#states[row] !== CLEAN) return;
    this.#states[row] = DIRTY;
    this.#dirty.push(row);
  }
}
