/** Reads partitions from an offset to a fixed end, past control and aborted records. */
import type { Log, RecordColumns, TopicPartition } from '../log/log.js';
import { FreshetError } from '../process/errors.js';

export interface Stretch extends TopicPartition {
  readonly start: number;
  /** Rows from here on are skipped. */
  readonly end: number;
}

/** `take` is awaited, a batch at a time. Errors: 'state' when the signal aborts; those of the log and of `take`. */
export async function readStretches(
  log: Log,
  stretches: readonly Stretch[],
  task: string,
  signal: AbortSignal | undefined,
  take: (batch: RecordColumns) => void | Promise<void>,
): Promise<void> {
  const open = stretches.filter(({ start, end }) => start < end);
  if (open.length === 0) return;
  const reader = log.reader(
    open.map(({ topic, partition, start }) => ({ topic, partition, offset: start })),
    { isolation: 'read_committed' },
  );
  try {
    while (open.some((stretch) => reader.position(stretch) < stretch.end)) {
      checkStopped(task, signal);
      for (const batch of await reader.poll()) {
        const { end } = open.find(({ topic, partition }) => topic === batch.topic && partition === batch.partition)!;
        await take(cutAt(batch, end));
        if (reader.position(batch) >= end) reader.pause(batch);
      }
    }
  } finally {
    await reader.close();
  }
}

/** The rows below an offset. */
function cutAt(batch: RecordColumns, offset: number): RecordColumns {
  let count = batch.count;
  while (count > 0 && batch.offsets[count - 1]! >= offset) count--;
  return count === batch.count ? batch : { ...batch, count, nextOffset: offset };
}

/** Ends the work of a task that is being stopped. Throws FreshetError('state'). */
export function checkStopped(task: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new FreshetError('state', `${task}: it was stopped`);
}
