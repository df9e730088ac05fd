/**
 * The contract of a snapshotter: capture the newest value of every key of compacted topics, build files from them,
 * check the files. Reading to the recorded ends, savepoints, the process around it and publishing are done for it.
 */
import type { Artefact } from '../publishing/layout.js';
import type { Check, Manifest } from '../publishing/versions/manifest.js';
import type { RecordColumns } from '../runtime/log/log.js';
import type { Merged, SettingsDeclaration } from '../runtime/process/settings.js';
import type { Codec } from '../schemas/codec.js';
import type { SnapshotSettings } from './settings.js';

/**
 * What is kept of the topics while they are read. Records of a partition arrive in offset order; a later record of a
 * key replaces the previous one, a null value removes it. Memory must be bounded by settings, not by the topics' size.
 */
export interface Capture {
  add(batch: RecordColumns, row: number): void;
  /** The entire capture as bytes, for a savepoint; `restore` loads them into a new one. */
  save(): Buffer;
  restore(bytes: Buffer): void;
}

/** `S`: the settings that the snapshotter declares. */
export interface BuildContext<S = Readonly<Record<string, unknown>>> {
  /** Empty folder for the files of the version. */
  readonly folder: string;
  readonly settings: SnapshotSettings & S;
  /** Files of the current version; null if there is none, or its folder is missing. */
  readonly previous: { readonly version: number; readonly folder: string; readonly manifest: Manifest } | null;
  /** Progress for anyone who waits; `total` is null if unknown. */
  progress(phase: string, done: number, total: number | null): void;
}

/** The result of a build; the rest of the manifest is added around it. */
export type BuildReport = Pick<Manifest, 'settings' | 'counts' | 'figures'> & {
  /** Names of the files it wrote into the folder. */
  readonly files: readonly string[];
  readonly checks: readonly Check[];
  /** What a dry run shows, lines of text. */
  readonly summary: readonly string[];
  /** Copied into the run's result under these names, e.g. documents_processed, stopwords_updated. */
  readonly result: Readonly<Record<string, number>>;
};

export interface Snapshotter<
  C extends Capture = Capture,
  D extends readonly SettingsDeclaration[] = readonly SettingsDeclaration[],
> {
  /** Job name, e.g. `stopwords`. */
  readonly name: string;
  readonly artefact: Artefact;
  readonly topics: readonly string[];
  /** Declarations of the settings that it reads besides those of every snapshot. Its process receives no others. */
  readonly settings: D;
  createCapture(codec: Codec, settings: SnapshotSettings & Merged<D>): C;
  /** Errors: FreshetError 'invalid_data' with a sentence when nothing can be built from the capture. */
  build(capture: C, context: BuildContext<Merged<D>>): Promise<BuildReport>;
}
