/** What a sink must know about a topic to turn its records into row changes: pure, one record at a time. */
import type { RecordColumns } from '../../runtime/log/log.js';
import { wrongId, wrongPartition } from '../../runtime/log/record-problem.js';
import { type Codec, SchemaError, type SchemaName } from '../../schemas/codec.js';
import { TIME_MS_MAX } from '../../topics/time.js';

/** A topic whose newest record per key is a row. */
export interface KeyedTopic<Value> {
  readonly name: string;
  readonly schema: SchemaName;
  /** The id inside a value; it must equal the record's key, or a deletion would miss the row. */
  readonly idOf: (value: Value) => string;
  /** How to read a Value if the schema's own decoding into objects would cost too much. Throws SchemaError. */
  readonly read?: (codec: Codec, bytes: Buffer, start: number, end: number) => unknown;
  /** Why stores could not hold the value although it can be decoded, or null. */
  readonly problem: (value: Value) => string | null;
  /**
   * True if every record must be in the partition of its key: two partitions that write the same row could undo each
   * other's changes, depending on which is applied last.
   */
  readonly checksPartition: boolean;
}

/** The newest value of a key; null: deleted. */
export interface Change<Value = unknown> {
  readonly key: string;
  readonly value: Value | null;
}

/** A record that can never become a change. */
export interface Poison {
  readonly reason: string;
  readonly error: string;
  /** The key if it could be read: the stored value under it stays. */
  readonly key: string | null;
}

/** The key alone, read before it is known whether a newer record of the key follows. */
export function readKey(
  topic: KeyedTopic<never>,
  columns: RecordColumns,
  row: number,
  partitions: number,
): string | Poison {
  const { bytes } = columns;
  const keyStart = columns.keyStart[row]!;
  const keyEnd = columns.keyEnd[row]!;
  if (keyStart < 0) return { reason: 'missing_key', error: `a record of ${topic.name} needs a key`, key: null };
  const wrong =
    wrongId('the key', bytes, keyStart, keyEnd) ??
    (topic.checksPartition ? wrongPartition(columns, row, partitions) : null);
  if (wrong === null) return bytes.toString('utf8', keyStart, keyEnd);
  // A sink reports everything that its stores cannot hold as an invalid value.
  const reason = wrong.code === 'invalid_id' ? 'invalid_value' : wrong.code;
  // Without the key: what the store holds under it came from the right partition.
  return { reason, error: wrong.message, key: null };
}

/** The record's value for its key. Throws only errors that the record did not cause. */
export function readValue<Value>(
  topic: KeyedTopic<Value>,
  codec: Codec,
  columns: RecordColumns,
  row: number,
  key: string,
): Change<Value> | Poison {
  const { bytes } = columns;
  const start = columns.valueStart[row]!;
  if (start < 0) return { key, value: null };
  let value: Value;
  try {
    const end = columns.valueEnd[row]!;
    value = (topic.read?.(codec, bytes, start, end) ?? codec.decode(topic.schema, bytes, start, end)) as Value;
  } catch (error) {
    if (error instanceof SchemaError) return { reason: error.problem, error: error.message, key };
    throw error;
  }
  const id = topic.idOf(value);
  if (id !== key)
    return {
      reason: 'key_mismatch',
      error: `the key is ${JSON.stringify(key)}, but the value is about ${JSON.stringify(id)}`,
      key,
    };
  const problem = topic.problem(value);
  return problem === null ? { key, value } : { reason: 'invalid_value', error: problem, key };
}

export function isPoison(read: Change | Poison | string): read is Poison {
  return typeof read === 'object' && 'reason' in read;
}

/** The first problem in the named texts, numbers and times, or null. */
export function problemOf(parts: {
  readonly texts?: Readonly<Record<string, string>>;
  readonly amounts?: Readonly<Record<string, number>>;
  readonly times?: Readonly<Record<string, number>>;
}): string | null {
  const { texts, amounts, times } = parts;
  // By name instead of by entries: this runs once per record and must not allocate.
  for (const name in texts)
    if (texts[name]!.includes('\0')) return `${name} contains a NUL character, which Postgres cannot store`;
  for (const name in amounts)
    if (!(amounts[name]! >= 0 && amounts[name]! < Number.POSITIVE_INFINITY))
      return `${name} is ${amounts[name]}: it must be a number of at least 0`;
  for (const name in times)
    if (!(times[name]! >= 0 && times[name]! <= TIME_MS_MAX))
      return `${name} is ${times[name]} ms: it must be a time from 1970 to 9999`;
  return null;
}
