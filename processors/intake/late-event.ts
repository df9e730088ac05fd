/** Events that came too late to be counted: kept whole in a topic of their own. */
import type { RecordColumns } from '../../runtime/log/log.js';
import type { OutputRecord } from '../../runtime/tasks/rejects.js';
import type { Codec } from '../../schemas/codec.js';
import { lateEvents } from '../../topics/events.js';

/** What is kept of row `row`, whose event happened at `ts`, ms. */
export function lateEventOf(codec: Codec, batch: RecordColumns, row: number, ts: number): OutputRecord {
  const timestamp = batch.timestamps[row]!;
  const value = codec.encode('LateEvent', {
    event: copyOf(batch.bytes, batch.valueStart[row]!, batch.valueEnd[row]!),
    event_ts: ts,
    log_ts: timestamp,
    topic: batch.topic,
    partition: batch.partition,
    offset: batch.offsets[row]!,
  });
  return {
    topic: lateEvents.name,
    key: copyOf(batch.bytes, batch.keyStart[row]!, batch.keyEnd[row]!),
    value,
    timestamp,
  };
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  return start < 0 ? Buffer.alloc(0) : Buffer.from(bytes.subarray(start, end));
}
