/** What the process of a snapshot and its parent say to each other. */

import type { RunProgress } from '../jobs/runs.js';
import type { Settings } from '../runtime/process/settings.js';
import type { Built } from './build-folder.js';
import type { LogAsk, Refusal } from './remote-log.js';

/** Secrets and addresses of the stores: whoever only computes does not get them. */
const WITHHELD = [
  'DATABASE_URL',
  'REDIS_URL',
  'REDIS_PASSWORD',
  'API_TOKENS',
  'API_TOKENS_FILE',
] as const satisfies readonly (keyof Settings)[];

export interface ChildJob {
  /** URL of the module whose export `snapshotter` is to be run. */
  readonly module: string;
  readonly runId: string;
  readonly settings: Settings;
  /** `<artifactsFolder>/.work/<job>/<run_id>`. */
  readonly runFolder: string;
  readonly previous: { readonly version: number; readonly folder: string } | null;
  readonly pace: CapturePace;
}

export interface CapturePace {
  readonly savepointMs: number;
  readonly fetchBytes: number;
}

export type ToChild =
  | { readonly kind: 'job'; readonly job: ChildJob }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly refusal: Refusal };

export type FromChild =
  | { readonly kind: 'ask'; readonly id: number; readonly ask: LogAsk }
  | { readonly kind: 'progress'; readonly progress: RunProgress }
  /** A capture that was told to stop has written its savepoint. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'finished'; readonly built: Built }
  | { readonly kind: 'failed'; readonly refusal: Refusal };

/** The settings without what a snapshot has no business with. */
export function childSettings(settings: Settings): Settings {
  const own: Record<string, unknown> = { ...settings };
  for (const name of WITHHELD) delete own[name];
  return own as Settings;
}
