/** Produce v8: sends one broker one record batch for each of several partitions. Batches are written without a copy. */
import { byTopic, type Exchange, RequestWriter } from './wire.js';

interface ProducedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Buffer;
}

export interface ProducedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error: number;
  /** The broker's message, if it gives one. */
  readonly message: string | null;
}

const ALL_REPLICAS = -1;
/** The leader stops waiting for its followers this much earlier than we stop waiting for its answer. */
const ANSWER_MARGIN_MS = 1_000;

/** `batches`: at most one per partition. `timeoutMs`: how long the answer may take, above ANSWER_MARGIN_MS. */
export function produce(
  transactionalId: string | null,
  batches: readonly ProducedBatch[],
  timeoutMs: number,
): Exchange<ProducedPartition[]> {
  const body: Buffer[] = [];
  const writer = new RequestWriter(64 + batches.length * 64);
  writer
    .string(transactionalId)
    .int16(ALL_REPLICAS)
    .int32(timeoutMs - ANSWER_MARGIN_MS);
  const topics = byTopic(batches);
  writer.array(topics, ([topic, partitions]) => {
    writer.string(topic).array(partitions, ({ partition, bytes }) => {
      writer.int32(partition).int32(bytes.length);
      body.push(writer.finish(), bytes);
    });
  });
  body.push(writer.finish());
  return {
    apiKey: 0,
    version: 8,
    name: 'Produce',
    body,
    timeoutMs,
    decode: (reader) => {
      const answers = reader.array(() => {
        const topic = reader.string();
        return reader.array(() => {
          const partition = reader.int32();
          const error = reader.int16();
          for (let field = 0; field < 3; field++) reader.int64();
          reader.array(() => {
            reader.int32();
            reader.nullableString();
          });
          return { topic, partition, error, message: reader.nullableString() };
        });
      });
      reader.throttle();
      return answers.flat();
    },
  };
}
