/** A part of a task, with the offsets of its input that the task keeps for it. */
import type { RecordColumns, TopicPartition } from '../log/log.js';
import type { Clock } from '../process/clock.js';
import { isTransient, messageOf } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import { type FoldMode, LIVE, type Part, type ProcessorDeclaration } from './processor.js';

const PREPARE_RETRY_MS = 1_000;

export interface TrackedPart {
  readonly part: Part;
  /** Next input offset to be folded. */
  position: number;
  /** The position of the newest acknowledged commit. */
  committed: number;
  restoreFrom: number;
  restoreClock: number;
  /** Position and clock when the running flush began. */
  flushFrom: number;
  flushClock: number;
  mode: FoldMode;
}

/** New parts of a task, at the very beginning. */
export function startParts(
  declaration: ProcessorDeclaration,
  inputs: readonly TopicPartition[],
  partitions: number,
  changelogPartition: number,
): TrackedPart[] {
  return inputs.map((input) => ({
    part: declaration.createPart({ input, partitions, changelogPartition }),
    position: 0,
    committed: 0,
    restoreFrom: 0,
    restoreClock: -1,
    flushFrom: 0,
    flushClock: -1,
    mode: LIVE,
  }));
}

/** The part that a batch belongs to. */
export function partOf(parts: readonly TrackedPart[], { topic, partition }: TopicPartition): TrackedPart {
  return parts.find(({ part }) => part.input.partition === partition && part.input.topic === topic)!;
}

/** Folds a batch and moves the position past it. */
export function foldBatch(tracked: TrackedPart, batch: RecordColumns): void {
  if (batch.count > 0) tracked.part.fold(batch, 0, batch.count, tracked.mode);
  if (batch.nextOffset > tracked.position) tracked.position = batch.nextOffset;
}

export interface Patience {
  readonly task: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

/** Fetches what is needed to read a batch. Waits for a registry that does not answer: a restore would cost more. */
export async function prepareBatch(
  part: Pick<Part, 'prepare'>,
  batch: RecordColumns,
  patience: Patience,
): Promise<void> {
  const { task, clock, logger, signal } = patience;
  while (batch.count > 0) {
    try {
      return await part.prepare(batch);
    } catch (error) {
      if (!isTransient(error) || signal?.aborted) throw error;
      logger.warn({ event: 'input_waits', task, error: messageOf(error) });
      await clock.sleep(PREPARE_RETRY_MS, signal);
    }
  }
}
