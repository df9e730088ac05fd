/** Versions as everybody else sees them: publish one, look at them, switch between them. */
import type { Service } from '../../runtime/process/service.js';
import type { Artefact } from '../layout.js';
import type { Manifest } from './manifest.js';

export type VersionState = 'staged' | 'verified' | 'shadow' | 'canary' | 'current' | 'retired' | 'failed';

/** A finished folder: data files and manifest.json, written and synced, checks passed. */
export interface Build {
  readonly artefact: Artefact;
  /** Absolute; on the same file system as the folder of artefacts. It is moved away by `publish`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** What entitles a run to publish: `epoch` of its lease. A lower epoch than any that has switched before is refused. */
export interface PublishRight {
  readonly epoch: number;
}

export interface Published {
  readonly version: number;
  /** `verified` where a pin keeps another version current; `retired` where the run is repeated and another has followed. */
  readonly state: 'current' | 'verified' | 'retired';
}

export interface VersionEntry {
  readonly version: number;
  readonly state: VersionState;
  readonly created_at: Date;
  readonly activated_at: Date | null;
  /** Its data is gone: it can be looked at, not switched to. */
  readonly reaped: boolean;
  /** Why it failed, or had to give way; null: nothing was said. */
  readonly reason?: string | null;
  readonly manifest: Partial<Manifest>;
}

export interface VersionList {
  readonly artefact: Artefact;
  readonly current: number | null;
  readonly candidate: number | null;
  /** Share of requests that the candidate answers, 0..1. */
  readonly share: number;
  /** The version that stays current whatever is published; null: none. */
  readonly pinned: number | null;
  /** Newest first. */
  readonly versions: readonly VersionEntry[];
}

/**
 * `start` begins to reconcile (the stores and `releases` follow Postgres within seconds, whoever crashed in between)
 * and to reap what is kept no longer.
 */
export interface Versions extends Service {
  /**
   * Stage, verify, switch. The same run may be published again after a crash: it goes on where it stood and answers the
   * same version. Errors: FreshetError 'fenced' when a newer epoch has published; 'invalid_data' when a file does not
   * match its manifest or the stores hold something else than the files; the version is then `failed` and the current
   * one stays.
   */
  publish(build: Build, right: PublishRight): Promise<Published>;
  list(artefact: Artefact): Promise<VersionList>;
  /**
   * Makes a verified or retired version current; answers once the online store has followed. Without `version`: the
   * newest verified one. Errors: 'state' when there is none, it failed, or its data is gone.
   */
  promote(artefact: Artefact, version?: number): Promise<VersionList>;
  /** Back to `to`, by default to the version that was current before. Errors as promote. */
  rollback(artefact: Artefact, options?: { readonly to?: number; readonly reason?: string }): Promise<VersionList>;
  /** Keeps `version` current until null is pinned; makes it current first where it is not. Errors as promote. */
  pin(artefact: Artefact, version: number | null): Promise<VersionList>;
}
