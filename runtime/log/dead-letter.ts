/** What becomes of a record that a reader cannot use: a dead letter that names the reader, the record's place and why. */
import { createHash } from 'node:crypto';
import type { DeadLetter } from '../../schemas/records.js';
import type { RecordColumns } from './log.js';

/** Bytes kept of a key, and of an input: with the message, a letter stays far below the largest record. */
const KEPT_BYTES = 64 * 1024;
/** Characters kept of a message, which may quote the input; each takes at most three bytes. */
const MESSAGE_LENGTH_MAX = 2_000;

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
 * has the same id. Key and input are copies, cut at 64 KiB; `size` and `sha256` describe the whole input. Whatever the
 * record contains, the letter is smaller than the largest record.
 */
export function deadLetterOf(batch: RecordColumns, row: number, reason: DeadLetterReason): DeadLetter {
  const source = { topic: batch.topic, partition: batch.partition, offset: batch.offsets[row]! };
  const input = batch.bytes.subarray(...rangeOf(batch.valueStart[row]!, batch.valueEnd[row]!));
  const key = batch.keyStart[row]! < 0 ? null : keptOf(batch.bytes, batch.keyStart[row]!, batch.keyEnd[row]!);
  const unreadable = batch.unreadable?.get(row);
  const [code, message] = unreadable === undefined ? [reason.code, reason.message] : [UNREADABLE, unreadable];
  return {
    id: `${source.topic}/${source.partition}/${source.offset}`,
    kind: 'record',
    job_id: null,
    job_name: reason.job,
    source,
    record_key: key,
    size: input.length,
    sha256: createHash('sha256').update(input).digest('hex'),
    input: keptOf(batch.bytes, batch.valueStart[row]!, batch.valueEnd[row]!),
    input_json: null,
    reason_code: code,
    error: message.length > MESSAGE_LENGTH_MAX ? `${message.slice(0, MESSAGE_LENGTH_MAX)}…` : message,
    stack: null,
    attempts: 1,
    created_at: reason.createdAt,
    state: 'open',
    redrive_run_id: null,
  };
}

/** What is kept of bytes[start..end), which belong to a bad record: a copy, cut at 64 KiB; empty if start < 0. */
export function keptOf(bytes: Buffer, start: number, end: number): Buffer {
  const [from, to] = rangeOf(start, end);
  return Buffer.from(bytes.subarray(from, Math.min(to, from + KEPT_BYTES)));
}

const rangeOf = (start: number, end: number): [number, number] => (start < 0 ? [0, 0] : [start, end]);

/** Reason code of the letter of a batch none of whose records can be read. */
const UNREADABLE = 'unreadable_batch';
