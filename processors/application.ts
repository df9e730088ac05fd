/** A built-in application as the settings want it: its pace, its checkpoints. */
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import type { EventBus } from '../runtime/process/events.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import type { Service } from '../runtime/process/service.js';
import { Application, type ApplicationOptions } from '../runtime/tasks/application.js';
import { Checkpoints } from '../runtime/tasks/checkpoints.js';
import type { TaskSettings } from '../runtime/tasks/settings.js';
import type { Codec } from '../schemas/codec.js';

export interface ProcessorsOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly settings: TaskSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Where tasks keep their checkpoints; without it they are restored from the changelog. */
  readonly checkpointFolder?: string;
}

export interface Processors extends Service {
  readonly application: Application;
}

/** The tasks of these processors, shared out over the members of the group that bears this name. */
export function applicationOf(
  name: string,
  processors: ApplicationOptions['processors'],
  options: ProcessorsOptions,
): Application {
  const { log, codec, settings, logger, metrics, events, clock } = options;
  return new Application({
    name,
    processors,
    log,
    codec,
    logger,
    metrics,
    events,
    clock,
    commitIntervalMs: settings.COMMIT_INTERVAL_MS,
    changelogIntervalMs: settings.CHANGELOG_INTERVAL_S * 1_000,
    checkpoints: checkpointsOf(options),
  });
}

function checkpointsOf(options: ProcessorsOptions): Checkpoints | null {
  const { checkpointFolder: folder, settings, logger, metrics, clock } = options;
  if (folder === undefined || settings.CHECKPOINT_INTERVAL_S === 0) return null;
  return new Checkpoints({ folder, intervalMs: settings.CHECKPOINT_INTERVAL_S * 1_000, logger, metrics, clock });
}
