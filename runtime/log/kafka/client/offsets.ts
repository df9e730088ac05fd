/** Offsets of a partition, requested from its leader. */
import type { Isolation, PartitionOffsets, TopicPartition } from '../../log.js';
import { AT_END, AT_START, listOffset } from '../wire/cluster-messages.js';
import { check, KafkaError, LEADER_NOT_AVAILABLE } from '../wire/errors.js';
import type { Cluster } from './cluster.js';
import { persist } from './retry.js';

const LIMIT_MS = 30_000;

/** Throws 'unknown_topic'; 'timeout' when no leader of the partition answers for 30 s; 'access'. */
export async function availableOffsets(
  cluster: Cluster,
  partition: TopicPartition,
  signal: AbortSignal,
): Promise<PartitionOffsets> {
  const earliest = await offsetAt(cluster, partition, AT_START, 'read_uncommitted', signal);
  // In this order, the last stable offset is never above the high watermark.
  const lastStable = await offsetAt(cluster, partition, AT_END, 'read_committed', signal);
  const highWatermark = await offsetAt(cluster, partition, AT_END, 'read_uncommitted', signal);
  return { earliest, lastStable, highWatermark };
}

/** Offset of the first record not older than `time` (ms, AT_START, AT_END) that this isolation sees, or -1. */
export async function offsetAt(
  cluster: Cluster,
  { topic, partition }: TopicPartition,
  time: number,
  isolation: Isolation,
  signal: AbortSignal,
): Promise<number> {
  const what = `asking for offsets of ${topic}[${partition}]`;
  return persist({ limitMs: LIMIT_MS, signal, what }, async (n) => {
    if (n > 0 || cluster.leaderOf(topic, partition) === null) await cluster.refresh([topic]);
    cluster.checkPartition(topic, partition);
    const leader = cluster.leaderOf(topic, partition);
    if (leader === null) throw new KafkaError(LEADER_NOT_AVAILABLE, what);
    const link = await cluster.control.to(leader);
    const answer = await link.send(listOffset(topic, partition, time, isolation));
    check(answer.error, what);
    return answer.offset;
  });
}
