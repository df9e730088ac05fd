/** Reads partitions in chunks of whole batches. A waiting reader is notified of commits; it does not poll for them. */
import { FreshetError } from '../../process/errors.js';
import type { LogReader, ReaderOptions, RecordColumns, TopicPartition } from '../log.js';
import { walkBatches } from '../record-batch.js';
import { BATCH_SIZE_BYTES, batchSize, completeBatchesEnd } from './batch-header.js';
import { type Disk, diskError } from './disk.js';
import type { Segment } from './segment.js';
import type { Partition } from './topic.js';

/** Where reading continues: an offset, and the position of its batch in a segment if known. */
interface Cursor {
  readonly partition: Partition;
  offset: number;
  segment: Segment | null;
  filePosition: number;
  paused: boolean;
}

/** What one poll will read from one partition; decided for all partitions in one step. */
interface Plan {
  readonly cursor: Cursor;
  readonly offset: number;
  readonly segment: Segment;
  /** Null: look it up in the index. */
  readonly filePosition: number | null;
  /** Readable bytes of an active segment; null for a closed one, which is readable as a whole. */
  readonly size: number | null;
  /** Offset after the closed segment. */
  readonly endOffset: number;
}

const DEFAULT_WAIT_MS = 250;
const DEFAULT_BYTES = 1024 * 1024;
/** One poll reads about this much at most; partitions that were left out are first in the next poll. */
const POLL_BYTES_MAX = 32 * 1024 * 1024;

export class EmbeddedReader implements LogReader {
  readonly #disk: Disk;
  readonly #maxWaitMs: number;
  readonly #maxBytes: number;
  readonly #cursors: Cursor[];
  readonly #onClose: (reader: EmbeddedReader) => void;
  readonly #release: (() => void)[] = [];
  #first = 0;
  #closed = false;
  #stopWaiting: (() => void) | null = null;
  #polling: Promise<unknown> | null = null;

  constructor(
    disk: Disk,
    start: readonly { readonly partition: Partition; readonly offset: number; readonly until?: number | undefined }[],
    options: ReaderOptions,
    onClose: (reader: EmbeddedReader) => void,
  ) {
    this.#disk = disk;
    this.#maxWaitMs = options.maxWaitMs ?? DEFAULT_WAIT_MS;
    this.#maxBytes = Math.max(1, options.maxBytesPerPartition ?? DEFAULT_BYTES);
    this.#cursors = start.map(({ partition, offset }) => ({
      partition,
      offset,
      segment: null,
      filePosition: 0,
      paused: false,
    }));
    this.#onClose = onClose;
    for (const { partition, until } of start) if (until !== undefined) checkUncompacted(partition, until);
    for (const { partition, until } of start) if (until !== undefined) this.#hold(partition, until);
  }

  #hold(partition: Partition, until: number): void {
    const hold = { until };
    partition.holds.add(hold);
    this.#release.push(() => partition.holds.delete(hold));
  }

  poll(): Promise<RecordColumns[]> {
    if (this.#polling !== null)
      return Promise.reject(new FreshetError('state', 'a poll of this reader is under way already'));
    const polling = this.#poll().finally(() => {
      this.#polling = null;
    });
    this.#polling = polling;
    return polling;
  }

  async #poll(): Promise<RecordColumns[]> {
    if (this.#closed) throw new FreshetError('state', 'this reader of the log is closed');
    let plans = this.#plan();
    if (plans.length === 0) {
      await this.#wait();
      if (this.#closed) return [];
      plans = this.#plan();
    }
    const answers = await Promise.all(
      plans.map((plan) =>
        readPlan(this.#disk, plan, this.#maxBytes).catch((error: unknown) => {
          throw diskError(`${plan.cursor.partition.name} cannot be read`, error);
        }),
      ),
    );
    if (this.#closed) return [];
    const result: RecordColumns[] = [];
    for (const [i, answer] of answers.entries()) {
      const { cursor, segment } = plans[i]!;
      // Null: the segment was replaced meanwhile; the next poll finds the new one.
      if (answer === null || cursor.paused) continue;
      cursor.offset = answer.columns.nextOffset;
      cursor.segment = segment;
      cursor.filePosition = answer.filePosition;
      result.push(answer.columns);
    }
    return result;
  }

  /** Must not await: it fixes one moment for all partitions, so that a commit is seen in all or in none. */
  #plan(): Plan[] {
    const plans: Plan[] = [];
    const count = this.#cursors.length;
    let bytes = 0;
    for (let i = 0; i < count && bytes < POLL_BYTES_MAX; i++) {
      const cursor = this.#cursors[(this.#first + i) % count]!;
      if (cursor.paused) continue;
      const { partition } = cursor;
      partition.checkAlive();
      if (cursor.offset < partition.start || cursor.offset > partition.nextOffset)
        throw new FreshetError(
          'offset_out_of_range',
          `${partition.name}: offset ${cursor.offset} was requested, but the log has ${partition.start} to ` +
            `${partition.nextOffset}. The records in between are gone. The position never moves by itself.`,
        );
      if (cursor.offset === partition.nextOffset) continue;
      plans.push(planFor(cursor));
      bytes += this.#maxBytes;
      if (bytes >= POLL_BYTES_MAX) this.#first = (this.#first + i + 1) % count;
    }
    return plans;
  }

  /** Waits until a partition being read has more, the time is up, or the reader is closed. */
  #wait(): Promise<void> {
    return new Promise((resolve) => {
      const withdraw: (() => void)[] = [];
      const done = () => {
        clearTimeout(timer);
        for (const step of withdraw) step();
        this.#stopWaiting = null;
        resolve();
      };
      const timer = setTimeout(done, this.#maxWaitMs);
      for (const { partition, paused } of this.#cursors) if (!paused) withdraw.push(partition.onPublished(done));
      this.#stopWaiting = done;
    });
  }

  #cursor(partition: TopicPartition): Cursor {
    for (const cursor of this.#cursors)
      if (cursor.partition.partition === partition.partition && cursor.partition.topic.name === partition.topic)
        return cursor;
    throw new FreshetError('state', `this reader does not read ${partition.topic}[${partition.partition}]`);
  }

  position(partition: TopicPartition): number {
    return this.#cursor(partition).offset;
  }

  pause(partition: TopicPartition): void {
    this.#cursor(partition).paused = true;
  }

  resume(partition: TopicPartition): void {
    this.#cursor(partition).paused = false;
    this.#stopWaiting?.();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const release of this.#release) release();
    this.#onClose(this);
    this.#stopWaiting?.();
    await this.#polling?.catch(() => undefined);
  }
}

/** Throws FreshetError('offset_out_of_range') when newest values below `until` may be gone. */
function checkUncompacted(partition: Partition, until: number): void {
  if (partition.compactedTo > until)
    throw new FreshetError(
      'offset_out_of_range',
      `${partition.name}: the newest values below offset ${until} were requested, but compaction has looked at records up to ` +
        `${partition.compactedTo} and may have removed some. Note the ends again and read from the start.`,
    );
}

function planFor(cursor: Cursor): Plan {
  const { partition, offset } = cursor;
  const at = partition.segmentAt(offset);
  const segment = partition.segments[at]!;
  const next = partition.segments[at + 1];
  return {
    cursor,
    offset,
    segment,
    filePosition: cursor.segment === segment ? cursor.filePosition : null,
    size: next === undefined ? segment.size : null,
    endOffset: next?.baseOffset ?? partition.nextOffset,
  };
}

/** Null if the segment was replaced before it could be opened. */
async function readPlan(
  disk: Disk,
  plan: Plan,
  maxBytes: number,
): Promise<{ columns: RecordColumns; filePosition: number } | null> {
  const { segment, offset, endOffset, cursor } = plan;
  const index = await segment.load();
  if (index === null) return null;
  const fd = await segment.acquire();
  if (fd === null) return null;
  try {
    const size = plan.size ?? index.size;
    const from = plan.filePosition ?? index.positionOf(offset);
    const bytes = await readBatches(disk, fd, from, size, maxBytes);
    let to = from + bytes.length;
    const { topic, partition } = cursor.partition;
    const [columns] = walkBatches(bytes, 0, bytes.length, {
      topic: topic.name,
      partition,
      fromOffset: offset,
      untilOffset: Number.POSITIVE_INFINITY,
      aborted: null,
      decompress: refuseCompressed,
      checkCrc: true,
      stopAtDamage: (at) => {
        to = from + at;
      },
    });
    // The next segment follows the last batch of a closed one, whatever compaction left out in between.
    const nextOffset = to >= size ? endOffset : columns!.nextOffset;
    return { columns: { ...columns!, nextOffset }, filePosition: to };
  } finally {
    await segment.release();
  }
}

/** Whole batches starting at `from`: as many as fit into `maxBytes`, at least one. */
async function readBatches(disk: Disk, fd: number, from: number, size: number, maxBytes: number): Promise<Buffer> {
  let length = Math.min(maxBytes, size - from);
  for (;;) {
    const bytes = Buffer.allocUnsafe(length);
    const have = await disk.read(fd, bytes, length, from);
    const end = completeBatchesEnd(bytes, have);
    if (end > 0 || length <= 0) return bytes.subarray(0, end);
    const needed = have >= BATCH_SIZE_BYTES ? batchSize(bytes, 0) : Math.min(BATCH_SIZE_BYTES, size - from);
    if (needed <= length || needed > size - from)
      throw new FreshetError(
        'invalid_data',
        `a batch of ${needed} bytes at byte ${from}, but only ${size - from} bytes are left`,
      );
    length = needed;
  }
}

function refuseCompressed(codec: number): Buffer {
  throw new FreshetError('invalid_data', `compressed batch (codec ${codec}): the embedded log writes none`);
}
