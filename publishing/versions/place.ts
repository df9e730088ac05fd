/** What every step of publishing works with. */
import type { Clock } from '../../runtime/process/clock.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Artifacts } from '../../runtime/stores/artifacts.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import type { Artefact, Layout } from '../layout.js';

/** The two stores of a deployment, and what versions need to know about it. */
export interface StorePlace {
  readonly database: Database;
  readonly store: OnlineStore;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
}

export interface VersionsPlace extends StorePlace {
  readonly artifacts: Artifacts;
}

export interface VersionName {
  readonly artefact: Artefact;
  readonly version: number;
}

/** A time of the clock port as a parameter of a statement: `to_timestamp($n / 1000.0)`. */
export const AT = (parameter: number) => `to_timestamp($${parameter}::float8 / 1000.0)`;
