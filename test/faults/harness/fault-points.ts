/** Every point that a fault test may take hold of, as the rooms declare them. */
import type { RunPoint } from '../../../jobs/fault-points.js';
import type { SinkPoint } from '../../../publishing/live/partition-sink.js';
import type { VersionPoint } from '../../../publishing/versions/fault-points.js';
import type { TransactionPoint } from '../../../runtime/log/kafka/client/transactional-writer.js';
import type { FaultHook as Hook } from '../../../runtime/process/fault-points.js';
import type { TaskPoint } from '../../../runtime/tasks/fault-points.js';
import type { SnapshotPoint } from '../../../snapshotters/fault-points.js';

export type FaultPoint = TaskPoint | TransactionPoint | SinkPoint | VersionPoint | RunPoint | SnapshotPoint;
export type FaultHook = Hook<FaultPoint>;
