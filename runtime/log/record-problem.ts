/**
 * What can be wrong with a record wherever it is read: its key, its ids, the partition it lies in. Hot path: a good
 * record costs no allocation.
 */
import { isUtf8 } from 'node:buffer';
import { ID_BYTES_MAX } from '../../topics/ids.js';
import { partitionOf } from '../../topics/partition.js';
import type { RecordColumns } from './log.js';

/** Why a record becomes a dead letter, and what to do about it. */
export interface RecordProblem {
  readonly code: string;
  readonly message: string;
}

/** Null when the key of row i can be an id and lies in its partition. `id`: what the key must be, for the message. */
export function wrongKey(id: string, batch: RecordColumns, i: number, partitions: number): RecordProblem | null {
  const start = batch.keyStart[i]!;
  if (start < 0) return { code: 'missing_key', message: `the record has no key; it must be the ${id}` };
  return wrongId('key', batch.bytes, start, batch.keyEnd[i]!) ?? wrongPartition(batch, i, partitions);
}

/** Null when the key of row i lies where murmur2 puts it among `partitions`: readers look for it nowhere else. */
export function wrongPartition(batch: RecordColumns, i: number, partitions: number): RecordProblem | null {
  const wanted = partitionOf(partitions, batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!);
  if (wanted === batch.partition) return null;
  return {
    code: 'wrong_partition',
    message:
      `the key belongs to partition ${wanted} by murmur2, the record lies in ${batch.partition}; ` +
      'librdkafka producers must set partitioner=murmur2_random',
  };
}

/** Null when bytes[start..end) are an id: UTF-8 without NUL, 1 to 256 bytes. `field` names it in the message. */
export function wrongId(field: string, bytes: Buffer, start: number, end: number): RecordProblem | null {
  if (end === start) return { code: 'empty_id', message: `${field} is empty` };
  if (end - start > ID_BYTES_MAX)
    return { code: 'id_too_long', message: `${field} has ${end - start} bytes; at most ${ID_BYTES_MAX} are allowed` };
  let isAscii = true;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0) return { code: 'invalid_id', message: `${field} contains a NUL, which Postgres cannot store` };
    if (byte >= 0x80) isAscii = false;
  }
  if (isAscii || isUtf8(bytes.subarray(start, end))) return null;
  return { code: 'invalid_utf8', message: `${field} is not UTF-8` };
}
