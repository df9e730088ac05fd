/**
 * Rows of a state that differ from those in the changelog, and the flush that writes them, some with every commit. A
 * row is a small number assigned by its owner, which may reuse it once the row is forgotten or dropped; nothing is
 * allocated per row.
 *
 *   clean → markDirty: dirty → begin: flushing → visit, committed: clean
 *
 * A row that changes while it waits in the running flush is written as it is by then. A row that has become empty is
 * removed in two steps. First a row is written that says so and what it counts; without it, a restore would fold
 * earlier records into a new row. Once none of them can be read again, its deletion is written and it is dropped.
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
  /** How much of the running flush has been committed, and how much the commit in progress includes. */
  #written = 0;
  #visited = 0;
  #isComplete = true;
  /** No record below is folded again. */
  #restoreFrom = 0;
  /** Rows without content that the changelog still has, and the offset of the record that emptied each one. */
  readonly #emptied = new Map<number, number>();
  /** Per row: the changelog's row counts every record below; only while restoring. */
  #covers: Float64Array | null = null;
  readonly #onDropped: (row: number) => void;

  /** `onDropped`: an empty row has left the changelog. */
  constructor(onDropped: (row: number) => void = () => undefined) {
    this.#onDropped = onDropped;
  }

  /** Maximum number of rows that the next flush would visit: some may have been forgotten since. */
  get size(): number {
    return this.#dirty.length;
  }

  /** Whether the last flush was completely committed at the last committed(). */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** The row has changed and is not empty. */
  markDirty(row: number): void {
    if (this.#emptied.size > 0) this.#emptied.delete(row);
    this.#add(row);
  }

  /** The record at this offset has emptied the row. */
  markEmptied(row: number, offset: number): void {
    this.#emptied.set(row, offset);
    this.#add(row);
  }

  /** The row has left memory: the changelog keeps its last version, and nothing more is written. */
  forget(row: number): void {
    if (row < this.#states.length) this.#states[row] = CLEAN;
    if (this.#covers !== null && row < this.#covers.length) this.#covers[row] = 0;
    this.#emptied.delete(row);
  }

  /** Starts a flush of the rows that are dirty now; no record below `restoreFrom` is folded again, whatever happens. */
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
   * committed(). `isOver`: the row's deletion must be written.
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

  /** The visited rows have been committed. */
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

  /** Called before the rows of the changelog are loaded. */
  beginRestore(): void {
    this.#covers = new Float64Array(1024);
  }

  /** A row of the changelog, which replaces an older one: it counts every record below `covers`. */
  restored(row: number, covers: number, isEmpty = false): void {
    const capacity = capacityFor(row + 1, this.#covers!.length);
    if (capacity > this.#covers!.length) this.#covers = enlarged(this.#covers!, capacity);
    this.#covers![row] = covers;
    if (isEmpty) this.#emptied.set(row, covers - 1);
    else this.#emptied.delete(row);
  }

  /** Whether the row already counts the record at this offset. */
  isCovered(row: number, offset: number): boolean {
    return this.#covers !== null && row < this.#covers.length && offset < this.#covers[row]!;
  }

  endRestore(): void {
    this.#covers = null;
    for (const row of this.#emptied.keys()) this.#add(row);
  }

  /** Call it after committed() only. */
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

  /** Replaces an empty queue: the rows that the changelog did not have then, including those of a running flush. */
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
