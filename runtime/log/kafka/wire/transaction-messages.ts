/** Producer ids and transactions. Every answer is Kafka's error number, 0 for success. */
import type { TopicPartition } from '../../log.js';
import { byTopic, type Exchange, RequestWriter } from './wire.js';

export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** With an id: fences its earlier producers and ends their transaction. Without: an identity that detects repeats. */
export function initProducerId(
  transactionalId: string | null,
  transactionTimeoutMs: number,
): Exchange<ProducerIdentity & { readonly error: number }> {
  return {
    apiKey: 22,
    version: 1,
    name: 'InitProducerId',
    body: [new RequestWriter().string(transactionalId).int32(transactionTimeoutMs).finish()],
    decode: (reader) => {
      reader.throttle();
      return { error: reader.int16(), producerId: reader.bigint64(), producerEpoch: reader.int16() };
    },
  };
}

/** Returns the first error of any partition; the error of those that were not tried (55) comes last. */
export function addPartitionsToTransaction(
  transactionalId: string,
  { producerId, producerEpoch }: ProducerIdentity,
  partitions: readonly TopicPartition[],
): Exchange<number> {
  const writer = new RequestWriter(64 + partitions.length * 64)
    .string(transactionalId)
    .bigint64(producerId)
    .int16(producerEpoch);
  writer.array(byTopic(partitions), ([topic, places]) => {
    writer.string(topic).array(places, ({ partition }) => writer.int32(partition));
  });
  return {
    apiKey: 24,
    version: 1,
    name: 'AddPartitionsToTxn',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      const errors = reader.array(() => {
        reader.string();
        return reader.array(() => {
          reader.int32();
          return reader.int16();
        });
      });
      const failed = errors.flat().filter((error) => error !== 0);
      return failed.find((error) => error !== OPERATION_NOT_ATTEMPTED) ?? failed[0] ?? 0;
    },
  };
}

const OPERATION_NOT_ATTEMPTED = 55;

export function endTransaction(
  transactionalId: string,
  { producerId, producerEpoch }: ProducerIdentity,
  commit: boolean,
): Exchange<number> {
  const writer = new RequestWriter()
    .string(transactionalId)
    .bigint64(producerId)
    .int16(producerEpoch)
    .int8(commit ? 1 : 0);
  return {
    apiKey: 26,
    version: 1,
    name: 'EndTxn',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      return reader.int16();
    },
  };
}
