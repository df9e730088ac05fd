/** Reads partitions from an offset to a noted end, over control and aborted records. */

import type { Log, RecordColumns, TopicPartition } from '../log/log.js';
import { FreshetError } from '../process/errors.js';

export interface Stretch extends TopicPartition {
  readonly start: number;
  /** Rows from here on are not visited. */
  readonly end: number;
}

/** `prepare` is awaited before the rows of a batch are visited. Throws FreshetError('state') when the signal aborts. */
export async function readStretches(
  log: Log,
  stretches: readonly Stretch[],
  task: string,
  signal: AbortSignal | undefined,
  visit: (batch: RecordColumns, row: number) => void,
  prepare: (batch: RecordColumns) => Promise<void> = async () => undefined,
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
        await prepare(batch);
        for (let row = 0; row < batch.count && batch.offsets[row]! < end; row++) visit(batch, row);
        if (reader.position(batch) >= end) reader.pause(batch);
      }
    }
  } finally {
    await reader.close();
  }
}

/** Ends the work of a task that is to stop. Throws FreshetError('state'). */
export function checkStopped(task: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new FreshetError('state', `${task}: it was stopped`);
}
