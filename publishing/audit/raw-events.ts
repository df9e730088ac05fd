/** Rows of `events` in the form that the reference takes. */
import { isUtf8 } from 'node:buffer';
import type { RecordColumns } from '../../runtime/log/log.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import type { RawRecord } from './reference.js';

const REPLACEMENT = '\ufffd';

/** Row i; null if it is unreadable and so a dead letter. `codec.prepare` must have seen the columns. */
export function rawRecord(codec: Codec, columns: RecordColumns, i: number): RawRecord | null {
  const { bytes, partition } = columns;
  const keyStart = columns.keyStart[i]!;
  let key: string | null = null;
  if (keyStart >= 0) {
    if (!isUtf8(bytes.subarray(keyStart, columns.keyEnd[i]!))) return null;
    key = bytes.toString('utf8', keyStart, columns.keyEnd[i]!);
  }
  const at = { partition, offset: columns.offsets[i]!, logTime: columns.timestamps[i]!, key };
  const start = columns.valueStart[i]!;
  if (start < 0) return { ...at, value: null };
  const end = columns.valueEnd[i]!;
  let value: Event;
  try {
    value = codec.decode('Event', bytes, start, end) as Event;
  } catch (error) {
    if (error instanceof SchemaError) return null;
    throw error;
  }
  return isDamagedText(value, bytes.subarray(start, end)) ? null : { ...at, value };
}

/** Decoding replaces invalid UTF-8 with U+FFFD. The text is intact only if the bytes contain just as many U+FFFD. */
function isDamagedText({ event_id, user_id, product_id, category }: Event, bytes: Buffer): boolean {
  let shown = 0;
  for (const text of [event_id, user_id, product_id, category ?? '']) {
    if (!text.includes(REPLACEMENT)) continue;
    shown += text.split(REPLACEMENT).length - 1;
  }
  if (shown === 0) return false;
  let held = 0;
  for (let at = bytes.indexOf(REPLACEMENT); at >= 0; at = bytes.indexOf(REPLACEMENT, at + 3)) held++;
  return held < shown;
}
