/**
 * How much of a history is already in the log. The log itself is the memory: history events have their index in their
 * ids, and each partition keeps the order in which they were written, so the highest index in a partition means that
 * everything before it is there too. An interrupted load continues exactly where it stopped, however much later.
 */
import type { Log, LogReader, RecordColumns } from '../../runtime/log/log.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { parseHistoryId } from './history.js';

/** A history found in the log: which one, and per partition the highest index of its events (-1: none). */
export interface HistoryInLog {
  readonly seed: number;
  readonly nowMs: number;
  readonly lastIndex: readonly number[];
}

/** First offset, end offset and number of every partition of `events`. */
export async function eventRanges(log: Log): Promise<{ partition: number; earliest: number; end: number }[]> {
  const partitions = await log.partitionCount(events.name);
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { earliest, lastStable } = await log.offsets({ topic: events.name, partition });
      return { partition, earliest, end: lastStable };
    }),
  );
}

/**
 * Reads `events` from its start to its current end. Of several histories, returns the latest; null if there is none.
 * Errors: those of the log's reader, and of a registry that cannot be reached.
 */
export async function findHistory(log: Log, codec: Codec, signal?: AbortSignal): Promise<HistoryInLog | null> {
  const ranges = await eventRanges(log);
  const open = ranges.filter(({ earliest, end }) => end > earliest);
  if (open.length === 0) return null;
  const found = new Map<number, { seed: number; nowMs: number; lastIndex: number[] }>();
  const reader = log.reader(
    open.map(({ partition, earliest }) => ({ topic: events.name, partition, offset: earliest })),
    { isolation: 'read_committed' },
  );
  try {
    while (!open.every((range) => isRead(reader, range))) {
      signal?.throwIfAborted();
      for (const columns of await reader.poll()) {
        await codec.prepare(columns.bytes, columns.count, columns.valueStart, columns.valueEnd);
        for (const id of eventIds(codec, columns)) note(id, columns.partition);
      }
    }
  } finally {
    await reader.close();
  }
  return [...found.values()].sort((a, b) => b.nowMs - a.nowMs)[0] ?? null;

  function note(id: string, partition: number): void {
    const place = parseHistoryId(id);
    if (place === null) return;
    const { seed, nowMs, index } = place;
    let history = found.get(nowMs);
    if (history === undefined) {
      history = { seed, nowMs, lastIndex: ranges.map(() => -1) };
      found.set(nowMs, history);
    }
    history.lastIndex[partition] = Math.max(history.lastIndex[partition]!, index);
  }
}

function isRead(reader: LogReader, { partition, end }: { partition: number; end: number }): boolean {
  return reader.position({ topic: events.name, partition }) >= end;
}

/** Ids of the events in the columns; records that are not events are ignored. */
function* eventIds(codec: Codec, columns: RecordColumns): Generator<string> {
  for (let row = 0; row < columns.count; row++) {
    const start = columns.valueStart[row]!;
    if (start < 0) continue;
    try {
      yield (codec.decode('Event', columns.bytes, start, columns.valueEnd[row]!) as Event).event_id;
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
    }
  }
}
