/** The statements of a table's sink, built once from its declaration. */
import type { Column, TableSink } from './declaration.js';

/**
 * A new row has epoch 1 and offset 0; the year 1970 means nothing was ever applied. $1 sink, $2 topic, $3 partition.
 */
export const OPEN = `
INSERT INTO sink_offsets AS held (sink, topic, partition, epoch, next_offset, incarnation, updated_at)
VALUES ($1, $2, $3, 1, 0, '', to_timestamp(0))
ON CONFLICT (sink, topic, partition) DO UPDATE SET epoch = held.epoch + 1
RETURNING epoch, next_offset, incarnation, updated_at`;

export const POSITION = `
SELECT epoch, next_offset, incarnation, updated_at FROM sink_offsets
WHERE sink = $1 AND topic = $2 AND partition = $3`;

/** $4 epoch. */
export const REWIND = `
UPDATE sink_offsets SET next_offset = 0, updated_at = to_timestamp(0), incarnation = '' WHERE sink = $1 AND topic = $2 AND partition = $3 AND epoch = $4`;

export function keysStatement<Value>(sink: TableSink<Value>): string {
  return `SELECT ${sink.key} AS key FROM ${sink.table}`;
}

/**
 * One round trip: the gate lets rows through only with equal epoch and offset, and advances in the same statement. $1
 * sink, $2 topic, $3 partition, $4 epoch, $5 expected offset, $6 next offset, $7 incarnation, $8 ms, then the arrays:
 * $9 keys, $10 … the columns in order, last (with deletions) the keys to delete. Returns one row if applied, otherwise
 * none. A key may be in only one of the two lists: both halves see the table as it was before.
 */
export function applyStatement<Value>(sink: TableSink<Value>, deletions: boolean): string {
  const { table, key, columns } = sink;
  const arrays = columns.map(({ type }, i) => `$${10 + i}::${type}[]`);
  const names = columns.map(({ name }) => name);
  const removed = `
), removed AS (
  DELETE FROM ${table} USING unnest($${10 + columns.length}::text[]) AS gone(key), gate
  WHERE ${table}.${key} = gone.key`;
  return `
WITH gate AS (
  UPDATE sink_offsets
  SET next_offset = $6::bigint, incarnation = $7::text, updated_at = to_timestamp($8::float8 / 1000.0)
  WHERE sink = $1 AND topic = $2 AND partition = $3 AND epoch = $4::bigint AND next_offset = $5::bigint
  RETURNING 1${deletions ? removed : ''}
), written AS (
  INSERT INTO ${table} (${[key, ...names].join(', ')})
  SELECT ${['given.key', ...columns.map(columnSql)].join(', ')}
  FROM unnest(${['$9::text[]', ...arrays].join(', ')}) AS given(${['key', ...names].join(', ')}), gate
  ON CONFLICT (${key}) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')}
)
SELECT 1 AS applied FROM gate`;
}

function columnSql<Value>({ name, as }: Column<Value>): string {
  // A function, because `$` has a special meaning in a replacement string.
  return as === undefined ? `given.${name}` : as.replace('$', () => `given.${name}`);
}
