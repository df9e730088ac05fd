/** The options of a task: its place in the application, the log, and its intervals. */
import type { Codec } from '../../schemas/codec.js';
import type { Log, TopicPartition } from '../log/log.js';
import type { Clock } from '../process/clock.js';
import type { Logger } from '../process/logger.js';
import type { Metrics } from '../process/metrics.js';
import type { Checkpoints } from './checkpoints.js';
import type { TaskDeclaration } from './processor.js';

/** An input partition and the next offset of it. */
export interface InputOffset extends TopicPartition {
  readonly offset: number;
}

/** `Declaration`: what the task does; only the task itself needs its type. */
export interface TaskOptions<Declaration extends TaskDeclaration = TaskDeclaration> {
  readonly declaration: Declaration;
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
  /** Without them the task is restored from the changelog. */
  readonly checkpoints?: Checkpoints | null;
  /** Whether the group, asked now, still assigns this task to this member; true where there is no group. */
  readonly isOurs?: () => Promise<boolean>;
  /** Called after every commit with the next input offset of each partition. */
  readonly onCommitted: (positions: readonly InputOffset[]) => void;
}
