/** What tests do to a Kafka behind the product's back: by kafkajs, as any other client would. */
import { Kafka, logLevel } from 'kafkajs';
import type { TopicPartition } from '../../../runtime/log.js';

export function foreignClient(brokers: string): Kafka {
  return new Kafka({ clientId: 'foreign', brokers: brokers.split(','), logLevel: logLevel.NOTHING });
}

/** Moves the start of a partition to `offset`. */
export async function deleteRecords(
  brokers: string,
  { topic, partition }: TopicPartition,
  offset: number,
): Promise<void> {
  const admin = foreignClient(brokers).admin();
  await admin.connect();
  try {
    // Loads the metadata that the next call needs.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
  } finally {
    await admin.disconnect();
  }
}
