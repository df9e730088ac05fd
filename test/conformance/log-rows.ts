/** Rows as plain objects and patient reading, for tests only: the product itself never creates an object per record. */
import assert from 'node:assert/strict';
import type { LogReader, RecordColumns } from '../../runtime/log/log.js';

export interface Row {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** The bytes of a key or value as latin1 text, which is lossless; null stays null. */
export function rowsOf(columns: RecordColumns): Row[] {
  const { topic, partition, bytes } = columns;
  const text = (from: number, to: number) => (from === -1 ? null : bytes.toString('latin1', from, to));
  return Array.from({ length: columns.count }, (_, i) => ({
    topic,
    partition,
    offset: columns.offsets[i]!,
    timestamp: columns.timestamps[i]!,
    key: text(columns.keyStart[i]!, columns.keyEnd[i]!),
    value: text(columns.valueStart[i]!, columns.valueEnd[i]!),
  }));
}

/**
 * Polls until `enough` rows have arrived or the deadline passes, and checks every answer: offsets rise, and position()
 * and nextOffset are after the last row.
 */
export async function readRows(reader: LogReader, enough: number, deadlineMs = 30_000): Promise<Row[]> {
  const rows: Row[] = [];
  const last = new Map<string, number>();
  const until = Date.now() + deadlineMs;
  while (rows.length < enough) {
    assert.ok(Date.now() < until, `only ${rows.length} of ${enough} rows came within ${deadlineMs} ms`);
    for (const columns of await reader.poll()) {
      const place = `${columns.topic}[${columns.partition}]`;
      for (const row of rowsOf(columns)) {
        assert.ok(row.offset > (last.get(place) ?? -1), `${place}: offset ${row.offset} after ${last.get(place)}`);
        last.set(place, row.offset);
        rows.push(row);
      }
      assert.ok(columns.nextOffset > (last.get(place) ?? -1), `${place}: nextOffset is not after the rows`);
      assert.ok(reader.position(columns) >= columns.nextOffset, `${place}: position() lags behind the answer`);
    }
  }
  return rows;
}

/** Polls a condition that another process makes true in its own time; fails with `what` at the deadline. */
export async function eventually(what: string, condition: () => Promise<boolean>, deadlineMs = 30_000): Promise<void> {
  const until = Date.now() + deadlineMs;
  while (!(await condition())) {
    assert.ok(Date.now() < until, `not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Rows of one partition of a topic. */
export function inPartition(rows: readonly Row[], partition: number, topic?: string): Row[] {
  return rows.filter((row) => row.partition === partition && (topic === undefined || row.topic === topic));
}
