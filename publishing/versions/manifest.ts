/**
 * What a version says of itself: where it came from, how it was made, what was counted and checked. Written by whoever
 * built it as manifest.json beside its data, kept in `versions.manifest`, told in `releases`.
 */
import type { Artefact } from '../layout.js';

/** One partition of an input as it was captured: records in [from, to). Inputs of several topics are not one cut. */
export interface ManifestInput {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** When the end was noted, ISO 8601 UTC. */
  readonly at: string;
}

export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** What was measured; null where there is nothing to measure. */
  readonly figure: number | null;
  /** What was found and what is asked, as a sentence. */
  readonly sentence: string;
}

export interface Manifest {
  readonly artefact: Artefact;
  /** The run that made it. */
  readonly run_id: string;
  /** ISO 8601 UTC. */
  readonly created_at: string;
  /** Version of this package. */
  readonly code_version: string;
  readonly inputs: readonly ManifestInput[];
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly counts: Readonly<Record<string, number>>;
  /** Distributions and whatever else a person compares; JSON. */
  readonly figures: Readonly<Record<string, unknown>>;
  readonly checks: readonly Check[];
  readonly files: readonly ManifestFile[];
}

/** Name of the manifest in a version's folder. */
export const MANIFEST_FILE = 'manifest.json';
