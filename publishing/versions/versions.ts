/** The public interface of versions: publish, list, switch. */
import type { Service } from '../../runtime/process/service.js';
import type { Artefact } from '../layout.js';
import type { Manifest } from './manifest.js';

export type VersionState = 'staged' | 'verified' | 'shadow' | 'canary' | 'current' | 'retired' | 'failed';

/** A finished folder: data files and manifest.json, written and synced, checks passed. */
export interface Build {
  readonly artefact: Artefact;
  /** Absolute; on the same file system as the folder of artefacts. `publish` moves it away. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** A run's right to publish: `epoch` of its lease. An epoch lower than any that has switched before is refused. */
export interface PublishRight {
  readonly epoch: number;
}

export interface Published {
  readonly version: number;
  /** `verified` if another version is pinned; `retired` if the run is repeated and another has followed. */
  readonly state: 'current' | 'verified' | 'retired';
}

export interface VersionEntry {
  readonly version: number;
  readonly state: VersionState;
  readonly created_at: Date;
  readonly activated_at: Date | null;
  /** Its data is gone: it can be listed, but not switched to. */
  readonly reaped: boolean;
  /** Why it failed or was replaced; null if no reason was given. */
  readonly reason?: string | null;
  readonly manifest: Partial<Manifest>;
}

export interface VersionList {
  readonly artefact: Artefact;
  readonly current: number | null;
  readonly candidate: number | null;
  /** Share of requests answered by the candidate, 0..1. */
  readonly share: number;
  /** The version that stays current whatever is published; null if none. */
  readonly pinned: number | null;
  /** Newest first. */
  readonly versions: readonly VersionEntry[];
}

/**
 * `start` begins to reconcile (the stores and `releases` follow Postgres within seconds, whichever process crashed in
 * between) and to reap versions that need no longer be kept.
 */
export interface Versions extends Service {
  /**
   * Stage, verify, switch. The same run may be published again after a crash: it continues where it stopped and returns
   * the same version. Errors: FreshetError 'fenced' if a newer epoch has published; 'invalid_data' if a file does not
   * match its manifest or the stores hold something other than the files. The version is then `failed` and the current
   * one stays.
   */
  publish(build: Build, right: PublishRight): Promise<Published>;
  list(artefact: Artefact): Promise<VersionList>;
  /**
   * Makes a verified or retired version current; returns once the online store has followed. Without `version`: the
   * newest verified one. Errors: 'state' if there is none, it failed, or its data is gone.
   */
  promote(artefact: Artefact, version?: number): Promise<VersionList>;
  /** Back to `to`, by default to the version that was current before. Errors as for promote. */
  rollback(artefact: Artefact, options?: { readonly to?: number; readonly reason?: string }): Promise<VersionList>;
  /** Keeps `version` current until null is pinned; makes it current first if it is not. Errors as for promote. */
  pin(artefact: Artefact, version: number | null): Promise<VersionList>;
}
