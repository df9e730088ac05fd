/** Records in the form the log port returns, for tests of parts without a log. */
import type { RecordColumns } from '../../runtime/log/log.js';
import { RecordBatchBuilder, walkBatches } from '../../runtime/log/record-batch.js';

export interface TestRecord {
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: number;
  readonly offset: number;
}

/** Records with rising offsets as one batch. */
export function columnsOf(topic: string, partition: number, records: readonly TestRecord[]): RecordColumns {
  const first = records[0]?.offset ?? 0;
  const builder = new RecordBatchBuilder();
  for (const { key, value, timestamp, offset } of records)
    builder.add(typeof key === 'string' ? Buffer.from(key) : key, value, timestamp, offset - first);
  const bytes = records.length === 0 ? Buffer.alloc(0) : builder.finish(first);
  return walkBatches(bytes, 0, bytes.length, {
    topic,
    partition,
    fromOffset: first,
    untilOffset: Number.POSITIVE_INFINITY,
    aborted: null,
    checkCrc: true,
    decompress: () => {
      throw new Error('not compressed');
    },
  })[0]!;
}

/** What a part wrote, in order. */
export class CollectedOutput {
  readonly records: { topic: string; key: string; value: Buffer | null; partition?: number; timestamp?: number }[] = [];

  add(
    topic: string,
    key: Uint8Array | null,
    value: Uint8Array | null,
    options: { partition?: number; timestamp?: number } = {},
  ): void {
    const copy = value === null ? null : Buffer.from(value);
    this.records.push({ topic, key: key === null ? '' : Buffer.from(key).toString(), value: copy, ...options });
  }

  of(topic: string): { key: string; value: Buffer | null }[] {
    return this.records.filter((record) => record.topic === topic);
  }
}
