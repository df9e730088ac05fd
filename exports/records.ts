/** Records of a topic as they arrive, decoded; and a topic's newest value per key. */
import type { Log, LogReader, RecordColumns, TopicPartition } from '../runtime/log/log.js';
import { FreshetError } from '../runtime/process/errors.js';
import { SchemaError } from '../schemas/codec.js';
import type { ValueCodec } from '../schemas/value-codec.js';
import type { TypedTopic } from '../topics/typed.js';

/** One record of a topic. `value` null: the key was deleted. */
export interface TopicRecord<T> {
  readonly key: string;
  readonly value: T | null;
  readonly partition: number;
  readonly offset: number;
  /** Log time, ms since 1970 UTC. */
  readonly timestamp: number;
}

/** `earliest`: all existing records, then new ones; `latest`: only new ones. */
export type StartAt = 'earliest' | 'latest';

export interface Following {
  readonly ends: readonly (TopicPartition & { readonly offset: number })[];
  readonly reader: LogReader;
}

/** A reader of every partition, and the end offsets when it was created. Errors: 'unknown_topic'. */
export async function follow(log: Log, topic: string, from: StartAt): Promise<Following> {
  const starts: (TopicPartition & { offset: number })[] = [];
  const ends: (TopicPartition & { offset: number })[] = [];
  const partitions = await log.partitionCount(topic);
  for (let partition = 0; partition < partitions; partition++) {
    const { earliest, lastStable } = await log.offsets({ topic, partition });
    starts.push({ topic, partition, offset: from === 'earliest' ? earliest : lastStable });
    ends.push({ topic, partition, offset: lastStable });
  }
  return { ends, reader: log.reader(starts, { isolation: 'read_committed' }) };
}

/** Errors: FreshetError('schema') that names the record. */
export async function decoded<T>(
  batch: RecordColumns,
  codec: ValueCodec<T>,
  topic: TypedTopic<T>,
): Promise<TopicRecord<T>[]> {
  const { bytes, count, offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd, partition } = batch;
  await codec.prepare(bytes, count, valueStart, valueEnd);
  const records: TopicRecord<T>[] = [];
  for (let i = 0; i < count; i++) {
    if (keyStart[i]! < 0) continue;
    const key = bytes.toString('utf8', keyStart[i]!, keyEnd[i]!);
    const offset = offsets[i]!;
    try {
      const value = valueStart[i]! < 0 ? null : codec.decode(bytes, valueStart[i]!, valueEnd[i]!);
      records.push({ key, value, partition, offset, timestamp: timestamps[i]! });
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      throw new FreshetError('schema', `${topic.name}[${partition}]@${offset}: ${error.message}`, { cause: error });
    }
  }
  return records;
}
