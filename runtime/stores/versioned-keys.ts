/**
 * Versions of one artefact in the online store: where the pointer and its token lie, what is noted about each version,
 * and under which names a version's data are found. Both stores and whoever stages data ask here.
 */
import { FreshetError } from '../process/errors.js';
import { checkToken, type SwitchToken } from './switch-token.js';

export interface VersionedKeys {
  /** String: the current version's number. */
  readonly current: string;
  /** String: the token of the switch that made it so. */
  readonly token: string;
  /** What stands before a version's number in the names of what is noted about it, e.g. `meta:stopwords:v`. */
  readonly noted: string;
  /**
   * Where the current version's data lie under names that carry no number; null where nothing does. Part p of the
   * current version is `<prefix><p>`, of version n otherwise `<prefix>v<n>:<p>`; the hash `<noted><n>:<parts>` tells
   * how many fields each part has.
   */
  readonly plain: { readonly prefix: string; readonly parts: string } | null;
}

export interface VersionSwitch {
  readonly version: number;
  readonly token: SwitchToken;
  /** What the staged version's checksum key must hold; null where nothing is staged beforehand. */
  readonly checksum: string | null;
  /** Written beside the pointer under the version's settings key; null: nothing. */
  readonly settings: string | null;
}

/** `older`: the store has followed this switch or a newer one. `not_staged`: the version, or a part of it, is not here. */
export type SwitchResult = 'switched' | 'older' | 'not_staged';

/** What the store has followed; nulls where nothing ever was. */
export interface HeldVersion {
  readonly version: number | null;
  readonly token: SwitchToken | null;
}

/** One part of one version, read in the same step as the pointer. */
export interface PartRead extends HeldVersion {
  /**
   * `absent`: that version is not here, or not wholly, or there is no current one; `no_part`: it is, but has no such
   * part.
   */
  readonly found: 'whole' | 'no_part' | 'absent';
  /** Empty unless whole. */
  readonly fields: ReadonlyMap<string, string>;
}

export function checksumKey(keys: VersionedKeys, version: number): string {
  return `${keys.noted}${version}:checksum`;
}

export function settingsKey(keys: VersionedKeys, version: number): string {
  return `${keys.noted}${version}:settings`;
}

/** Hash: part → number of its fields. Null where the artefact has no parts. */
export function partsKey(keys: VersionedKeys, version: number): string | null {
  return keys.plain === null ? null : `${keys.noted}${version}:${keys.plain.parts}`;
}

/** Where a part of a version that is not current lies. */
export function stagedKey(plain: NonNullable<VersionedKeys['plain']>, version: number, part: string): string {
  return `${plain.prefix}v${version}:${part}`;
}

/** Throws FreshetError('invalid_data') for a version or token that is no whole number. */
export function checkSwitch({ version, token }: VersionSwitch): void {
  checkToken(token);
  checkVersion(version);
}

function checkVersion(version: number): void {
  if (!Number.isSafeInteger(version) || version < 1)
    throw new FreshetError('invalid_data', `${version} is no version: they count from 1.`);
}
