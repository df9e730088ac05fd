/** What one commit adds to one partition: finished batches with their offsets, written at the end of its segment. */
import { NO_PRODUCER, type RecordBatchBuilder } from '../record-batch.js';
import { batchMaxTimestamp, COMMITTED_EPOCH } from './batch-header.js';
import type { Segment } from './segment.js';
import type { Partition } from './topic.js';
import type { Place } from './transaction-log.js';

export class Addition {
  readonly partition: Partition;
  readonly segment: Segment;
  readonly chunks: Buffer[] = [];
  /** Offset, size and largest timestamp of each chunk's batch. */
  readonly #marks: { readonly offset: number; readonly bytes: number; readonly maxTimestamp: number }[] = [];
  /** Null where records keep their own times. */
  readonly #appendTimeMs: number | null;
  #nextOffset: number;
  #bytes = 0;

  /** Continues where the partition ends now; `now`: time of the commit, ms. */
  constructor(partition: Partition, now: number) {
    this.partition = partition;
    this.segment = partition.active;
    this.#nextOffset = partition.nextOffset;
    this.#appendTimeMs = partition.topic.config.logAppendTime ? Math.max(partition.appendTimeMs, now) : null;
  }

  /** Assigns offsets and times to the records of a batch. */
  add(builder: RecordBatchBuilder, commit: number, transactional: boolean): void {
    const stamp = { ...NO_PRODUCER, producerId: BigInt(commit), producerEpoch: COMMITTED_EPOCH, transactional };
    const bytes = builder.finish(this.#nextOffset, stamp, this.#appendTimeMs);
    this.chunks.push(bytes);
    this.#marks.push({ offset: this.#nextOffset, bytes: bytes.length, maxTimestamp: batchMaxTimestamp(bytes, 0) });
    this.#nextOffset += builder.count;
    this.#bytes += bytes.length;
  }

  /** End of the partition with this commit. */
  get place(): Place {
    const { partition, segment } = this;
    return {
      topicId: partition.topic.id,
      partition: partition.partition,
      segment: segment.baseOffset,
      position: segment.size + this.#bytes,
      nextOffset: this.#nextOffset,
    };
  }

  /** Makes the records visible. Must not await: readers see all partitions of a commit or none. */
  publish(commit: number, now: number): void {
    const { partition, segment } = this;
    if (segment.size === 0) segment.facts.firstAppendMs = now;
    segment.facts.lastAppendMs = now;
    segment.lastCommit = commit;
    for (const { offset, bytes, maxTimestamp } of this.#marks) segment.index.add(offset, bytes, maxTimestamp);
    partition.nextOffset = this.#nextOffset;
    if (this.#appendTimeMs !== null) partition.appendTimeMs = this.#appendTimeMs;
  }
}
