/** The messages between the process of a snapshot and its parent. */
import type { RunProgress } from '../jobs/runs.js';
import type { Built } from './build-folder.js';
import type { LogAsk, Refusal } from './remote-log.js';
import type { SnapshotSettings } from './settings.js';

export interface ChildJob {
  /** URL of the module whose export `snapshotter` is run. */
  readonly module: string;
  readonly runId: string;
  /** The settings that this snapshot declares and those of every snapshot, no others. */
  readonly settings: SnapshotSettings;
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
  /** A capture that was asked to stop has written its savepoint. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'finished'; readonly built: Built }
  | { readonly kind: 'failed'; readonly refusal: Refusal };
