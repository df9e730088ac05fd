/** Fetch v11: requests records of several partitions from one broker. The records in the answer stay in place. */
import type { Isolation } from '../../log.js';
import type { AbortedTransaction } from '../../record-batch.js';
import { byTopic, type Exchange, RequestWriter } from './wire.js';

interface FetchPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

interface FetchOptions {
  readonly isolation: Isolation;
  readonly maxWaitMs: number;
  /** Most bytes per partition, and in the whole answer; one batch arrives whole even if it is larger. */
  readonly partitionBytesMax: number;
  readonly answerBytesMax: number;
}

/** The answer for one partition. Its record batches are bytes[start..end). */
export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error: number;
  readonly highWatermark: number;
  readonly lastStable: number;
  readonly earliest: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface FetchAnswer {
  readonly error: number;
  readonly throttled: boolean;
  readonly partitions: readonly FetchedPartition[];
}

const ANSWER_MARGIN_MS = 5_000;
const NO_SESSION = { id: 0, epoch: -1 };

/** `places` may repeat topics in any order; the partitions of each topic are written together. */
export function fetch(places: readonly FetchPlace[], options: FetchOptions): Exchange<FetchAnswer> {
  const writer = new RequestWriter(64 + places.length * 64)
    .int32(-1)
    .int32(options.maxWaitMs)
    .int32(1)
    .int32(options.answerBytesMax)
    .int8(options.isolation === 'read_committed' ? 1 : 0)
    .int32(NO_SESSION.id)
    .int32(NO_SESSION.epoch);
  const topics = byTopic(places);
  writer.array(topics, ([topic, partitions]) => {
    writer.string(topic).array(partitions, ({ partition, offset }) => {
      writer.int32(partition).int32(-1).int64(offset).int64(-1).int32(options.partitionBytesMax);
    });
  });
  writer.int32(0).string('');
  return {
    apiKey: 1,
    version: 11,
    name: 'Fetch',
    body: [writer.finish()],
    timeoutMs: options.maxWaitMs + ANSWER_MARGIN_MS,
    decode: (reader) => {
      reader.throttle();
      const error = reader.int16();
      reader.int32();
      const partitions = reader.array(() => {
        const topic = reader.string();
        return reader.array((): FetchedPartition => {
          const partition = reader.int32();
          const partitionError = reader.int16();
          const highWatermark = reader.int64();
          const lastStable = reader.int64();
          const earliest = reader.int64();
          const aborted = reader.array(() => ({ producerId: reader.bigint64(), firstOffset: reader.int64() }));
          reader.int32();
          const start = reader.at + 4;
          const end = start + reader.bytes().length;
          return {
            topic,
            partition,
            error: partitionError,
            highWatermark,
            lastStable,
            earliest,
            aborted,
            bytes: reader.source,
            start,
            end,
          };
        });
      });
      return { error, throttled: reader.throttleMs > 0, partitions: partitions.flat() };
    },
  };
}
