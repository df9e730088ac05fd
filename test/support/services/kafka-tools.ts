/** What tests do to a Kafka behind the product's back: by kafkajs, as any other client would. */
import { createRequire } from 'node:module';
import kafkajs, { type Kafka } from 'kafkajs';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { loadSettings } from '../../../assembly/settings.js';
import { Cluster } from '../../../runtime/log/kafka/client/cluster.js';
import { Coordinator } from '../../../runtime/log/kafka/client/coordinator.js';
import { connectionOptions } from '../../../runtime/log/kafka/client/options.js';
import { leaveGroup } from '../../../runtime/log/kafka/wire/group-messages.js';
import type { TopicPartition } from '../../../runtime/log/log.js';
import { silentLogger } from '../../../runtime/process/logger.js';

const require = createRequire(import.meta.url);

export function foreignClient(brokers: string): Kafka {
  return new kafkajs.Kafka({ clientId: 'foreign', brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
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

/** Makes the coordinator forget the only member of a group, as if its session had ended. */
export async function kickMember(brokers: string, group: string): Promise<void> {
  const admin = foreignClient(brokers).admin();
  await admin.connect();
  const { groups } = await admin.describeGroups([group]);
  await admin.disconnect();
  const { seeds, ...options } = connectionOptions(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger);
  const cluster = await Cluster.open(seeds, options);
  const coordinator = new Coordinator(cluster, cluster.control, 'group', group);
  await coordinator.ask(leaveGroup(group, groups[0]!.members[0]!.memberId), (error) => error, 'kicking a member');
  cluster.close();
}

interface Encoded {
  readonly buffer: Buffer;
}

interface ZstdCodec {
  readonly ZstdCodec: { run(ready: (zstd: { Streaming: new () => Zstd }) => void): void };
}

interface Zstd {
  compress(bytes: Uint8Array): Uint8Array;
}

/** Snappy as Java's library frames it: a header, then blocks with their length in front. */
export function javaSnappy(bytes: Buffer): Buffer {
  const blocks: Buffer[] = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let at = 0; at < bytes.length; at += 1000) {
    const block = compressSync(bytes.subarray(at, at + 1000));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    blocks.push(length, block);
  }
  return Buffer.concat(blocks);
}

export function zstd(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    (require('zstd-codec') as ZstdCodec).ZstdCodec.run(({ Streaming }) => {
      resolve(Buffer.from(new Streaming().compress(bytes)));
    });
  });
}

const { None, GZIP, Snappy, LZ4, ZSTD } = kafkajs.CompressionTypes;
let snappyFramed = false;

/** What a foreign producer may send; both kinds of snappy in turn. */
export const FOREIGN_CODECS = [
  { name: 'none', type: None },
  { name: 'gzip', type: GZIP },
  { name: 'snappy', type: Snappy },
  { name: 'snappy of java', type: Snappy },
  { name: 'lz4', type: LZ4 },
  { name: 'none again', type: None },
  { name: 'zstd', type: ZSTD },
] as const;

/** Teaches kafkajs the codecs that it does not bring along. */
export function registerForeignCodecs(): void {
  const codec = (compress: (bytes: Buffer) => Buffer | Promise<Buffer>) => () => ({
    compress: async ({ buffer }: Encoded) => compress(buffer),
    decompress: async (bytes: Buffer) => bytes,
  });
  const codecs = kafkajs.CompressionCodecs;
  codecs[Snappy] = codec((bytes) => {
    snappyFramed = !snappyFramed;
    return snappyFramed ? compressSync(bytes) : javaSnappy(bytes);
  });
  codecs[LZ4] = codec((bytes) => compressFrameSync(bytes));
  codecs[ZSTD] = codec(zstd);
}
