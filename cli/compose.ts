/** The seam between the command `up` and what it starts. */
import type { Logger } from '../runtime/process/logger.js';
import type { Service } from '../runtime/process/service.js';
import type { Role, Settings } from '../runtime/process/settings.js';

export interface ComposeOptions {
  readonly roles: readonly Role[];
  readonly demo: boolean;
  readonly logger: Logger;
}

/** What is used for what: shown to whoever started it. */
export interface Part {
  readonly name: string;
  readonly use: string;
}

/** Everything that `freshet up` has started. */
export interface Running extends Service {
  /** Where the page is, once started; null without the serving role. */
  readonly address: string | null;
  /** Complete once started. */
  readonly parts: readonly Part[];
  /** Resolves when everything has caught up: what /health/ready says. */
  readonly ready: Promise<void>;
  /** Resolves when something that runs has failed for good; the process then stops with this error. */
  readonly failed: Promise<Error>;
}

export type Compose = (settings: Settings, options: ComposeOptions) => Promise<Running>;

/** Loaded when needed: the other commands start faster without all of it. */
export const composeUp: Compose = async (settings, options) => {
  const { Composition } = await import('./composition.js');
  return new Composition(settings, options);
};
