/** What `up` starts, as the command sees it: what it is given, and what it says of itself. */
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

/** A demo: it sees to its own data, then keeps the system busy. */
export interface Demo {
  /** The settings that everything runs under while it is there. */
  settings(settings: Settings): Settings;
  /** Resolves when nothing but its services is left to do, or when the signal ends it. Errors end the process. */
  run(scene: DemoScene): Promise<void>;
}

/** What a demo is given of the process. What does not run here is null. */
export interface DemoScene {
  /** Versions of the applications that run, here or elsewhere. */
  readonly sets: RunningSets;
  readonly log: Log;
  readonly codec: Codec;
  readonly folder: DataFolder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** One for each set; empty where none run here. */
  readonly features: readonly FeatureProcessors[];
  readonly corpus: Application | null;
  readonly publisher: Publisher | null;
  /** Null unless runs end here. */
  readonly published: { readonly versions: Versions; readonly runs: Runs } | null;
  /** What readiness waits for, in words; null when the demo is there. */
  readonly waitFor: (what: string | null) => void;
  /** Starts a service that is stopped with the process. */
  readonly start: (service: Service) => Promise<void>;
}

/** What is used for what, as shown at the start. */
export interface UsedPart {
  readonly name: string;
  readonly use: string;
}

/** Everything that `freshet up` has started. */
export interface Running extends Service {
  /** Where the page is, once started; null without the serving role. */
  readonly address: string | null;
  /** Complete once started. */
  readonly parts: readonly UsedPart[];
  /** Resolves when everything has caught up: what /health/ready says. */
  readonly ready: Promise<void>;
  /** Resolves when something that runs has failed for good; the process then stops with this error. */
  readonly failed: Promise<Error>;
}

export type Compose = (settings: Settings, options: ComposeOptions) => Promise<Running>;
