/** One raw record as JSON, whatever it contains: what cannot be decoded is shown as base64, with the reason. */
import type { RecordColumns } from '../../runtime/log/log.js';
import { isMarker } from '../../runtime/tasks/marker.js';
import type { Codec, SchemaName } from '../../schemas/codec.js';
import { isChangelog, type TopicDeclaration } from '../../topics/topic.js';

export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  /** Log time, ISO 8601. */
  readonly timestamp: string;
  /** Also null when the key is not UTF-8; then key_base64 has it. */
  readonly key: string | null;
  readonly key_base64?: string;
  /** The fields as named in the schema, times in ms. Null deletes. Missing if it could not be decoded. */
  readonly value?: unknown;
  readonly value_base64?: string;
  readonly error?: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Row `row` of the columns. Never throws because of a record's contents. `topic`: null for a topic that is not ours, whose
 * values are decoded if their schema is known.
 */
export function decodeRecord(
  topic: TopicDeclaration | null,
  codec: Codec,
  columns: RecordColumns,
  row: number,
): RawRecord {
  const { bytes } = columns;
  const key = keyFrom(bytes, columns.keyStart[row]!, columns.keyEnd[row]!);
  // Ids may be the same text as the key of markers.
  const schema = topic === null ? null : isChangelog(topic) && isMarker(columns, row) ? 'Marker' : topic.schema;
  return {
    partition: columns.partition,
    offset: columns.offsets[row]!,
    timestamp: new Date(columns.timestamps[row]!).toISOString(),
    ...key,
    ...valueFrom(codec, schema, bytes, columns.valueStart[row]!, columns.valueEnd[row]!),
  };
}

function keyFrom(bytes: Buffer, start: number, end: number): Pick<RawRecord, 'key' | 'key_base64'> {
  if (start < 0) return { key: null };
  try {
    return { key: utf8.decode(bytes.subarray(start, end)) };
  } catch {
    return { key: null, key_base64: bytes.toString('base64', start, end) };
  }
}

function valueFrom(
  codec: Codec,
  schema: SchemaName | null,
  bytes: Buffer,
  start: number,
  end: number,
): Pick<RawRecord, 'value' | 'value_base64' | 'error'> {
  if (start < 0) return { value: null };
  try {
    const value = schema === null ? codec.decodeAsWritten(bytes, start, end) : codec.decode(schema, bytes, start, end);
    return { value: plain(value) };
  } catch (error) {
    return {
      value_base64: bytes.toString('base64', start, end),
      error: error instanceof Error ? error.message : String(error),
    };
  }
}

/** Bytes as base64, everything else unchanged. */
export function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
