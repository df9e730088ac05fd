/** Events that came too late to be counted: kept in a separate topic, whole up to 64 KiB. */
import { keptOf } from '../../runtime/log/dead-letter.js';
import type { RecordColumns } from '../../runtime/log/log.js';
import type { OutputRecord } from '../../runtime/tasks/rejects.js';
import type { Codec } from '../../schemas/codec.js';
import { lateEvents } from '../../topics/events.js';

/** What is kept of row `row`, whose event happened at `ts`, ms. */
export function lateEventOf(codec: Codec, batch: RecordColumns, row: number, ts: number): OutputRecord {
  const timestamp = batch.timestamps[row]!;
  const value = codec.encode('LateEvent', {
    event: keptOf(batch.bytes, batch.valueStart[row]!, batch.valueEnd[row]!),
    event_ts: ts,
    log_ts: timestamp,
    topic: batch.topic,
    partition: batch.partition,
    offset: batch.offsets[row]!,
  });
  return {
    topic: lateEvents.name,
    key: keptOf(batch.bytes, batch.keyStart[row]!, batch.keyEnd[row]!),
    value,
    timestamp,
  };
}
