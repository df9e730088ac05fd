/** What becomes of a record that a reader cannot use: a dead letter that names the reader, the record's place and why. */
import { createHash } from 'node:crypto';
import type { DeadLetter } from '../../schemas/records.js';
import type { RecordColumns } from './log.js';

const KEPT_BYTES = 64 * 1024;

interface DeadLetterReason {
  /** The reader that could not use the record. */
  readonly job: string;
  readonly code: string;
  readonly message: string;
  /** ms. */
  readonly createdAt: number;
}

/**
 * The letter of row `row`. Its id is made of the record's coordinates, so a second letter from the same kind of reader
 * has the same id. Key and input are copies, cut at 64 KiB; `size` and `sha256` describe the whole input.
 */
export function deadLetterOf(batch: RecordColumns, row: number, reason: DeadLetterReason): DeadLetter {
  const source = { topic: batch.topic, partition: batch.partition, offset: batch.offsets[row]! };
  const input = copyOf(batch.bytes, batch.valueStart[row]!, batch.valueEnd[row]!) ?? Buffer.alloc(0);
  return {
    id: `${source.topic}/${source.partition}/${source.offset}`,
    kind: 'record',
    job_id: null,
    job_name: reason.job,
    source,
    record_key: copyOf(batch.bytes, batch.keyStart[row]!, batch.keyEnd[row]!)?.subarray(0, KEPT_BYTES) ?? null,
    size: input.length,
    sha256: createHash('sha256').update(input).digest('hex'),
    input: input.subarray(0, KEPT_BYTES),
    input_json: null,
    reason_code: reason.code,
    error: reason.message,
    stack: null,
    attempts: 1,
    created_at: reason.createdAt,
    state: 'open',
    redrive_run_id: null,
  };
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer | null {
  return start < 0 ? null : Buffer.from(bytes.subarray(start, end));
}
