/** A sink: one keyed topic's rows in one store. It declares what a change does there; PartitionSink delivers it. */
import type { OnlineStore, StoreOperation } from '../../runtime/stores/online-store.js';
import type { ElementType, ElementValue } from '../../runtime/stores/postgres/array-parameter.js';
import type { KeyedTopic } from './keyed-topic.js';

/** Rows in the online store. */
export interface OnlineSink<Value> {
  readonly kind: 'online';
  readonly topic: KeyedTopic<Value>;
  /** What one change does; a null value removes everything under the key. */
  readonly operations: (key: string, value: Value | null) => StoreOperation[];
  /** Keys of all existing rows, from every partition. */
  readonly keys: (store: OnlineStore) => Promise<Iterable<string>>;
}

/** One column of a table, filled from an array parameter. */
export interface Column<Value> {
  readonly name: string;
  /** Element type of the array as sent. */
  readonly type: ElementType;
  /** SQL that converts the sent element, called `$`, to the column's type; default: unchanged. */
  readonly as?: string;
  readonly value: (value: Value) => ElementValue;
}

/** Rows of a table. */
export interface TableSink<Value> {
  readonly kind: 'table';
  readonly topic: KeyedTopic<Value>;
  readonly table: string;
  /** The primary key: text, the record's key. */
  readonly key: string;
  readonly columns: readonly Column<Value>[];
  /**
   * False for a table that may outlive its topic's records: a rebuild then leaves rows that it did not see in place.
   */
  readonly forgetsUnseen: boolean;
}

/** Milliseconds as a timestamptz. */
export const MS_AS_TIME = 'to_timestamp($ / 1000.0)';
