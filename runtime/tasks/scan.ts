/** Searches the log for single records: those of one key, and the newest marker of a changelog. */
import type { Codec } from '../../schemas/codec.js';
import type { Log, RecordColumns, TopicPartition } from '../log/log.js';
import { decodeMarker, isMarker, type Marker } from './marker.js';

/** Place of a record, and its log time. */
export interface Place extends TopicPartition {
  readonly offset: number;
  /** ms. */
  readonly timestamp: number;
}

interface Offset {
  readonly offset: number;
}

/** The newest marker is searched this many offsets before the end first: only control records follow it. */
const TAIL_OFFSETS = 8;

/**
 * Visits committed rows of a partition from an offset to the end at the time of the call; stops early when `visit`
 * returns false. An offset below the log's start is replaced by the start: earlier records are gone.
 */
export async function visitRows(
  log: Log,
  from: TopicPartition & Offset,
  visit: (columns: RecordColumns, row: number) => boolean,
): Promise<void> {
  const at = { topic: from.topic, partition: from.partition };
  const { earliest, lastStable } = await log.offsets(at);
  const start = Math.max(from.offset, earliest);
  if (start >= lastStable) return;
  const reader = log.reader([{ ...at, offset: start }], { isolation: 'read_committed' });
  try {
    while (reader.position(at) < lastStable)
      for (const columns of await reader.poll())
        for (let row = 0; row < columns.count; row++) if (!visit(columns, row)) return;
  } finally {
    await reader.close();
  }
}

/** A record of one key. */
export interface KeyRecord {
  readonly place: Place;
  /** Its value is null. */
  readonly deletes: boolean;
}

/** The first null value under `key` at or after an offset; null if there is none. */
export async function deletionOf(log: Log, from: TopicPartition & Offset, key: Buffer): Promise<Place | null> {
  let found: Place | null = null;
  await visitRows(log, from, (columns, row) => {
    if (columns.valueStart[row]! >= 0 || !hasKey(columns, row, key)) return true;
    found = placeOf(columns, row);
    return false;
  });
  return found;
}

/** What one pass finds about a key: two passes would show two moments. */
export interface History {
  readonly newest: KeyRecord | null;
  /** The newest null value, even if other records follow it. */
  readonly deletion: Place | null;
}

/** The records of `key` in a partition, from an offset on. */
export async function historyOf(log: Log, from: TopicPartition & Offset, key: Buffer): Promise<History> {
  let newest: KeyRecord | null = null;
  let deletion: Place | null = null;
  await visitRows(log, from, (columns, row) => {
    if (!hasKey(columns, row, key)) return true;
    newest = { place: placeOf(columns, row), deletes: columns.valueStart[row]! < 0 };
    if (newest.deletes) deletion = newest.place;
    return true;
  });
  return { newest, deletion };
}

/** The newest marker in one partition of a changelog; null if there is none. */
export async function newestMarker(log: Log, codec: Codec, at: TopicPartition): Promise<Marker | null> {
  const { earliest, lastStable } = await log.offsets(at);
  for (let back = TAIL_OFFSETS; ; back *= 16) {
    const offset = Math.max(earliest, lastStable - back);
    let marker: Marker | null = null;
    await visitRows(log, { ...at, offset }, (columns, row) => {
      if (isMarker(columns, row)) marker = decodeMarker(columns, row, codec);
      return true;
    });
    if (marker !== null || offset <= earliest) return marker;
  }
}

export function hasKey(columns: RecordColumns, row: number, key: Buffer): boolean {
  const start = columns.keyStart[row]!;
  const end = columns.keyEnd[row]!;
  return end - start === key.length && start >= 0 && columns.bytes.compare(key, 0, key.length, start, end) === 0;
}

function placeOf(columns: RecordColumns, row: number): Place {
  return {
    topic: columns.topic,
    partition: columns.partition,
    offset: columns.offsets[row]!,
    timestamp: columns.timestamps[row]!,
  };
}
