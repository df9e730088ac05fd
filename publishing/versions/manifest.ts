/**
 * A version's description of itself: its inputs, how it was built, what was counted and checked. The builder writes it
 * as manifest.json next to the data; it is kept in `versions.manifest` and published in `releases`.
 */
import type { Artefact } from '../layout.js';

/** One partition of an input as captured: records in [from, to). Inputs from several topics are not one cut. */
export interface ManifestInput {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** When the end was read, ISO 8601 UTC. */
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
  /** The measured value; null if there is nothing to measure. */
  readonly figure: number | null;
  /** The finding and the requirement, as a sentence. */
  readonly sentence: string;
}

export interface Manifest {
  readonly artefact: Artefact;
  /** The run that built it. */
  readonly run_id: string;
  /** ISO 8601 UTC. */
  readonly created_at: string;
  /** Version of this package. */
  readonly code_version: string;
  readonly inputs: readonly ManifestInput[];
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly counts: Readonly<Record<string, number>>;
  /** Distributions and other figures for people to compare; JSON. */
  readonly figures: Readonly<Record<string, unknown>>;
  readonly checks: readonly Check[];
  readonly files: readonly ManifestFile[];
}

/** Name of the manifest in a version's folder. */
export const MANIFEST_FILE = 'manifest.json';
