/** Finds the newest record that a reader can see, per partition, searching backwards from the end. */
import type { Log, RecordColumns } from '../../runtime/log/log.js';

const BACK_FIRST = 64;
const BACK_FACTOR = 16;
const WAIT_MS = 100;

interface Newest<T> {
  readonly offset: number;
  readonly value: T;
}

/**
 * Per partition of a topic, the first non-null result of `take`, newest record first; partitions without one are
 * missing. The end of a log is not that record: control records and aborted ones may follow it.
 */
export async function newestPerPartition<T>(
  log: Log,
  topic: string,
  take: (columns: RecordColumns, row: number) => T | null,
): Promise<Map<number, Newest<T>>> {
  const found = new Map<number, Newest<T>>();
  const partitions = await log.partitionCount(topic);
  let open = Array.from({ length: partitions }, (_, partition) => partition);
  for (let back = BACK_FIRST; open.length > 0; back *= BACK_FACTOR) {
    const spans = await Promise.all(
      open.map(async (partition) => {
        const { earliest, lastStable } = await log.offsets({ topic, partition });
        return { topic, partition, offset: Math.max(earliest, lastStable - back), earliest, end: lastStable };
      }),
    );
    await readSpans(
      log,
      spans.filter(({ offset, end }) => offset < end),
      (columns, row) => {
        const value = take(columns, row);
        if (value !== null) found.set(columns.partition, { offset: columns.offsets[row]!, value });
      },
    );
    open = spans
      .filter(({ partition, offset, earliest }) => !found.has(partition) && offset > earliest)
      .map(({ partition }) => partition);
  }
  return found;
}

interface Span {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly end: number;
}

/** Visits every visible record of the spans, and perhaps some after them. */
export async function readSpans(
  log: Log,
  spans: readonly Span[],
  visit: (columns: RecordColumns, row: number) => void,
  prepare: (columns: RecordColumns) => Promise<void> = async () => undefined,
): Promise<void> {
  if (spans.length === 0) return;
  const reader = log.reader(spans, { isolation: 'read_committed', maxWaitMs: WAIT_MS });
  try {
    while (spans.some((span) => reader.position(span) < span.end)) {
      for (const columns of await reader.poll()) {
        await prepare(columns);
        for (let row = 0; row < columns.count; row++) visit(columns, row);
      }
    }
  } finally {
    await reader.close();
  }
}
