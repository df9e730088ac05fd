/** Writes the load to the log and reads the log back, for the benches. */
import type { RawRecord } from '../../publishing/audit/reference.js';
import type { Log, TopicPartition } from '../../runtime/log/log.js';
import { Codec } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import { type LoadOptions, load } from '../support/load.js';

const READ_WAIT_MS = 250;
const TAIL = 1000;

/** Writes the entire load to `topic`; returns the number of records. */
export async function feed(
  log: Log,
  topic: string,
  options: Partial<LoadOptions> & Pick<LoadOptions, 'endMs'>,
): Promise<number> {
  const writer = await log.writer([topic]);
  let written = 0;
  try {
    for (const chunk of load(options)) {
      const { bytes, keyStart, keyEnd, valueStart, valueEnd } = chunk;
      for (let i = 0; i < chunk.count; i++) {
        const key = bytes.subarray(keyStart[i]!, keyEnd[i]!);
        writer.add(topic, key, bytes.subarray(valueStart[i]!, valueEnd[i]!));
      }
      await writer.flush();
      written += chunk.count;
    }
  } finally {
    await writer.close();
  }
  return written;
}

export interface Row {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  /** A view of memory that is reused: copy what must be kept. */
  readonly value: Buffer | null;
}

/** Visits all committed records of a topic, partition by partition in order, up to the end at the time of the call. */
export async function readAll(log: Log, topic: string, visit: (row: Row) => void): Promise<number> {
  const ends = await endsOf(log, topic);
  const start = ends.map(({ partition, earliest }) => ({ topic, partition, offset: earliest }));
  const reader = log.reader(start, { isolation: 'read_committed', maxWaitMs: READ_WAIT_MS });
  let rows = 0;
  try {
    while (ends.some((at) => reader.position(at) < at.lastStable)) {
      for (const batch of await reader.poll()) {
        for (let i = 0; i < batch.count; i++) {
          const { bytes, keyStart, keyEnd, valueStart, valueEnd } = batch;
          visit({
            partition: batch.partition,
            offset: batch.offsets[i]!,
            timestamp: batch.timestamps[i]!,
            key: keyStart[i]! < 0 ? null : bytes.toString('utf8', keyStart[i]!, keyEnd[i]!),
            value: valueStart[i]! < 0 ? null : bytes.subarray(valueStart[i]!, valueEnd[i]!),
          });
          rows++;
        }
      }
    }
  } finally {
    await reader.close();
  }
  return rows;
}

async function endsOf(log: Log, topic: string) {
  const partitions = await log.partitionCount(topic);
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => ({
      topic,
      partition,
      ...(await log.offsets({ topic, partition })),
    })),
  );
}

/** All of `events` as the reference reads it. */
export async function rawEvents(log: Log, topic: string, codec = new Codec()): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  await readAll(log, topic, ({ partition, offset, timestamp, key, value }) => {
    const event = value === null ? null : (codec.decode('Event', value) as Event);
    records.push({ partition, offset, logTime: timestamp, key, value: event });
  });
  return records;
}

/** Per partition, the offset after the last committed record other than control records: where a reader's work ends. */
export async function workEnds(log: Log, topic: string): Promise<(TopicPartition & { offset: number })[]> {
  const ends = await endsOf(log, topic);
  return Promise.all(
    ends.map(async ({ partition, earliest, lastStable }) => {
      let offset = earliest;
      const from = Math.max(earliest, lastStable - TAIL);
      if (from < lastStable) {
        const reader = log.reader([{ topic, partition, offset: from }], { maxWaitMs: READ_WAIT_MS });
        try {
          while (reader.position({ topic, partition }) < lastStable) {
            for (const batch of await reader.poll()) if (batch.count > 0) offset = batch.offsets[batch.count - 1]! + 1;
          }
        } finally {
          await reader.close();
        }
      }
      return { topic, partition, offset };
    }),
  );
}
