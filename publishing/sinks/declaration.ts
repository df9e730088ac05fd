/** A sink: one keyed topic's rows in one store. It says what a change does there; how it gets there is materialise.ts. */

import type { OnlineStore, StoreOperation } from '../../runtime/stores/online-store.js';
import type { ElementType, ElementValue } from '../../runtime/stores/postgres/array-parameter.js';
import type { KeyedTopic } from './keyed-topic.js';

/** Rows in the online store. */
export interface OnlineSink<Value> {
  readonly kind: 'online';
  readonly topic: KeyedTopic<Value>;
  /** What one change does; a null value takes everything of the key away. */
  readonly operations: (key: string, value: Value | null) => StoreOperation[];
  /** Keys of all rows there are, of every partition. */
  readonly keys: (store: OnlineStore) => Promise<Iterable<string>>;
}

/** One column of a table, filled from an array parameter. */
export interface Column<Value> {
  readonly name: string;
  /** Type of the array's elements as they are sent. */
  readonly type: ElementType;
  /** SQL that turns the sent element, called `$`, into the column's type; default: as it is. */
  readonly as?: string;
  readonly value: (value: Value) => ElementValue;
}

/** Rows of a table. */
export interface TableSink<Value> {
  readonly kind: 'table';
  readonly topic: KeyedTopic<Value>;
  readonly table: string;
  /** The primary key: text, holds the record's key. */
  readonly key: string;
  readonly columns: readonly Column<Value>[];
  /**
   * False for a table that may outlive its topic's records: a rebuild then leaves rows in place that it did not meet.
   */
  readonly forgetsUnseen: boolean;
}

/** Milliseconds as a timestamptz. */
export const MS_AS_TIME = 'to_timestamp($ / 1000.0)';
