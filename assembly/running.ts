/** What `up` starts, from the command's point of view: its options, and what it reports. */
import type { Runs } from '../jobs/runs.js';
import type { FeatureProcessors } from '../processors/features/main.js';
import type { Publisher } from '../publishing/live/publisher.js';
import type { Versions } from '../publishing/versions/versions.js';
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import type { DataFolder } from '../runtime/process/data-folder.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Service } from '../runtime/process/service.js';
import type { Application } from '../runtime/tasks/application.js';
import type { Codec } from '../schemas/codec.js';
import type { RunningSets } from '../topics/running.js';
import type { Role } from './roles/all.js';
import type { Settings } from './settings.js';

export interface ComposeOptions {
  readonly roles: readonly Role[];
  /** What runs on top of the roles and counts for readiness; null for nothing. */
  readonly demo: Demo | null;
  readonly logger: Logger;
}

/** A demo: creates its own data, then keeps the system busy. */
export interface Demo {
  /** Settings that apply to everything while the demo runs. */
  settings(settings: Settings): Settings;
  /** Resolves when only its services are left, or when the signal aborts. An error ends the process. */
  run(scene: DemoScene): Promise<void>;
}

/** The parts of the process that a demo may use; null for those that do not run here. */
export interface DemoScene {
  /** Versions of the applications that run, in this process or another. */
  readonly sets: RunningSets;
  readonly log: Log;
  readonly codec: Codec;
  readonly folder: DataFolder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** One per set; empty if none run here. */
  readonly features: readonly FeatureProcessors[];
  readonly corpus: Application | null;
  readonly publisher: Publisher | null;
  /** Null unless jobs run here. */
  readonly published: { readonly versions: Versions; readonly runs: Runs } | null;
  /** What readiness is waiting for, as a phrase; null when the demo is ready. */
  readonly waitFor: (what: string | null) => void;
  /** Starts a service, which is stopped with the process. */
  readonly start: (service: Service) => Promise<void>;
}

/** What is used for which purpose, as shown at the start. */
export interface UsedPart {
  readonly name: string;
  readonly use: string;
}

/** Everything that `freshet up` has started. */
export interface Running extends Service {
  /** Address of the page, once started; null without the role serving. */
  readonly address: string | null;
  /** Complete once started. */
  readonly parts: readonly UsedPart[];
  /** Resolves when everything has caught up, as /health/ready reports it. */
  readonly ready: Promise<void>;
  /** Resolves when something has failed for good; the process then stops with this error. */
  readonly failed: Promise<Error>;
}

export type Compose = (settings: Settings, options: ComposeOptions) => Promise<Running>;
