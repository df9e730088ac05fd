/** What a task is given: its place in the application, the log, and its pace. */
import type { Codec } from '../../schemas/codec.js';
import type { Log, TopicPartition } from '../log/log.js';
import type { Clock } from '../process/clock.js';
import type { Logger } from '../process/logger.js';
import type { Metrics } from '../process/metrics.js';
import type { AwaitedDeclaration } from './awaited-work.js';
import type { Checkpoints } from './checkpoints.js';
import type { ProcessorDeclaration } from './processor.js';
import type { InputOffset } from './work.js';

export interface TaskOptions {
  readonly declaration: ProcessorDeclaration | AwaitedDeclaration;
  readonly index: number;
  readonly inputs: readonly TopicPartition[];
  /** Partition count of the input topic. */
  readonly partitions: number;
  readonly log: Log;
  readonly codec: Codec;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly commitIntervalMs: number;
  readonly changelogIntervalMs: number;
  /** Without them it is restored from the changelog. */
  readonly checkpoints?: Checkpoints | null;
  /** Whether the group, asked now, still gives this task to this member; without a group it always does. */
  readonly isOurs?: () => Promise<boolean>;
  /** Called after every commit with the next input offset of each partition. */
  readonly onCommitted: (positions: readonly InputOffset[]) => void;
}
