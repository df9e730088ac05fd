/**
 * Reads a few records of a topic for a person or a command in another terminal. It keeps nothing between requests: the
 * answer says where the next one continues.
 */
import type { Log, LogReader, RecordColumns } from '../../runtime/log/log.js';
import { RAW_BYTES_MAX, READ_MS_MAX } from '../limits.js';

export interface Position {
  readonly partition: number;
  readonly offset: number;
}

interface RawReadOptions {
  /** Most rows. */
  readonly limit: number;
  /** If there is nothing to read, how long to wait for the first record, ms. */
  readonly waitMs: number;
  /** Ends the read early, with what it has. */
  readonly isOver: () => boolean;
}

/** One row of columns, for immediate use: the buffer belongs to the reader. */
type OnRow = (columns: RecordColumns, row: number) => void;

interface Unread {
  readonly columns: RecordColumns;
  row: number;
}

const POLL_MS_MAX = 250;

/**
 * Passes up to `limit` rows (or about RAW_BYTES_MAX bytes) to `onRow`, taking turns between all partitions, each in its
 * order. Returns where to continue. Throws 'offset_out_of_range', and the log's own errors.
 */
export async function readRaw(
  log: Log,
  topic: string,
  start: readonly Position[],
  options: RawReadOptions,
  onRow: OnRow,
  prepare: (columns: RecordColumns) => Promise<void>,
): Promise<Position[]> {
  const next = new Map(start.map(({ partition, offset }) => [partition, offset]));
  const ends = await endsOf(log, topic, start);
  const begun = performance.now();
  const isWithin = (ms: number) => performance.now() - begun < ms && !options.isOver();
  let rows = 0;
  let bytes = 0;
  const full = () => rows >= options.limit || bytes >= RAW_BYTES_MAX;
  const isBehind = () => [...next].some(([partition, offset]) => offset < ends.get(partition)!);
  // Records already in the log are read without waiting, but not for ever if the log stops answering.
  const goesOn = () => (isBehind() ? isWithin(READ_MS_MAX + options.waitMs) : rows === 0 && isWithin(options.waitMs));
  if (!goesOn()) return start.map((position) => ({ ...position }));

  const reader = openReader(log, topic, start, options.waitMs);
  try {
    while (!full() && goesOn()) {
      const unread: Unread[] = [];
      for (const columns of await reader.poll()) {
        await prepare(columns);
        unread.push({ columns, row: 0 });
      }
      // An answer may have several columns of one partition: the later ones wait for the earlier.
      for (
        let turn = unread;
        turn.length > 0 && !full();
        turn = turn.filter(({ columns, row }) => row < columns.count)
      ) {
        const seen = new Set<number>();
        for (const item of turn) {
          const { columns } = item;
          if (full() || seen.has(columns.partition)) continue;
          seen.add(columns.partition);
          if (item.row >= columns.count) continue;
          onRow(columns, item.row);
          rows++;
          bytes += sizeOf(columns, item.row);
          item.row++;
        }
      }
      advance(next, unread);
    }
  } finally {
    await reader.close();
  }
  return [...next].map(([partition, offset]) => ({ partition, offset }));
}

/** Up to the first row that was not passed on, else past the columns. */
function advance(next: Map<number, number>, unread: readonly Unread[]): void {
  const cut = new Set<number>();
  for (const { columns, row } of unread) {
    const { partition } = columns;
    if (cut.has(partition)) continue;
    if (row < columns.count) {
      cut.add(partition);
      next.set(partition, columns.offsets[row]!);
    } else {
      next.set(partition, columns.nextOffset);
    }
  }
}

async function endsOf(log: Log, topic: string, start: readonly Position[]): Promise<Map<number, number>> {
  const ends = await Promise.all(start.map(({ partition }) => log.offsets({ topic, partition })));
  return new Map(start.map(({ partition }, index) => [partition, ends[index]!.lastStable]));
}

function openReader(log: Log, topic: string, start: readonly Position[], waitMs: number): LogReader {
  return log.reader(
    start.map(({ partition, offset }) => ({ topic, partition, offset })),
    { isolation: 'read_committed', maxWaitMs: Math.max(1, Math.min(POLL_MS_MAX, waitMs || POLL_MS_MAX)) },
  );
}

function sizeOf(columns: RecordColumns, row: number): number {
  return columns.keyEnd[row]! - columns.keyStart[row]! + columns.valueEnd[row]! - columns.valueStart[row]!;
}
