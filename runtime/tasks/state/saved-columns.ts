/**
 * State on its way into a checkpoint and back: named columns, copied out of memory in one step (nothing is folded in
 * the meantime) and later returned unchanged.
 */
import { FreshetError } from '../../process/errors.js';
import type { NumberColumn } from './columns.js';

/** Receives the columns of a state. */
export interface ColumnSink {
  /** Keeps a copy of the first `length` elements. */
  copy(name: string, column: NumberColumn, length?: number): void;
  /** Keeps a column that will never change again, without a copy. */
  share(name: string, column: NumberColumn): void;
  /** A sink whose names are below this one. */
  within(name: string): ColumnSink;
}

/** Returns the columns of a state. Each can be taken once and belongs to the caller. */
export interface ColumnSource {
  /** Throws FreshetError('invalid_data') when there is no such column, or its type differs. */
  take<T extends NumberColumn>(name: string, type: ColumnConstructor<T>): T;
  within(name: string): ColumnSource;
}

type ColumnConstructor<T extends NumberColumn> = new (buffer: ArrayBuffer) => T;

/** The columns of one checkpoint, in the order in which they were added. */
export class SavedColumns implements ColumnSink, ColumnSource {
  readonly #columns: Map<string, NumberColumn>;
  readonly #prefix: string;

  constructor(columns = new Map<string, NumberColumn>(), prefix = '') {
    this.#columns = columns;
    this.#prefix = prefix;
  }

  get entries(): ReadonlyMap<string, NumberColumn> {
    return this.#columns;
  }

  copy(name: string, column: NumberColumn, length = column.length): void {
    const make = column.constructor as new (length: number) => NumberColumn;
    const copy = new make(length);
    copy.set(column.subarray(0, length) as never);
    this.share(name, copy);
  }

  share(name: string, column: NumberColumn): void {
    this.#columns.set(this.#prefix + name, column);
  }

  take<T extends NumberColumn>(name: string, type: ColumnConstructor<T>): T {
    const whole = this.#prefix + name;
    const column = this.#columns.get(whole);
    if (!(column instanceof type)) throw new FreshetError('invalid_data', `it has no column ${whole} as ${type.name}`);
    this.#columns.delete(whole);
    return column;
  }

  within(name: string): SavedColumns {
    return new SavedColumns(this.#columns, `${this.#prefix}${name}/`);
  }
}
