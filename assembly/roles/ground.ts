/** What every role needs, and how a role registers what it starts, so that it is stopped with the process. */
import type { Skips } from '../../ingest/skips.js';
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Service } from '../../runtime/process/service.js';
import type { Stores } from '../../runtime/stores/open-stores.js';
import type { Codec } from '../../schemas/codec.js';
import type { RunningSets } from '../../topics/running.js';
import type { Settings } from '../settings.js';

export interface Ground {
  readonly log: Log;
  readonly skips: Skips;
  readonly codec: Codec;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Versions of the applications that are running. */
  readonly sets: RunningSets;
  /** Starts a service. It is stopped with the process, in reverse order. */
  readonly start: (service: Service) => Promise<void>;
}

/** For roles that need the stores. */
export interface StoreGround extends Ground {
  readonly stores: Stores;
}
