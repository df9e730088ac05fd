/**
 * Versions of one artefact in the online store: the keys of the pointer and its token, of the notes about each version,
 * and of a version's data. Both stores, and all code that stages data, get the names here.
 */
import { FreshetError } from '../process/errors.js';
import { checkToken, type SwitchToken } from './switch-token.js';

export interface VersionedKeys {
  /** String: the current version's number. */
  readonly current: string;
  /** String: the token of the switch that made it current. */
  readonly token: string;
  /** Prefix of a version's number in the names of its notes, e.g. `meta:stopwords:v`. */
  readonly noted: string;
  /**
   * For an artefact whose current data have names without a number; null for others. Part p of the current version is
   * `<prefix><p>`, of any other version n it is `<prefix>v<n>:<p>`; the hash `<noted><n>:<parts>` has the number of
   * fields of each part.
   */
  readonly plain: { readonly prefix: string; readonly parts: string } | null;
}

export interface VersionSwitch {
  readonly version: number;
  readonly token: SwitchToken;
  /** The expected value of the staged version's checksum key; null if nothing is staged beforehand. */
  readonly checksum: string | null;
  /** Written, together with the pointer, to the version's settings key; null: nothing. */
  readonly settings: string | null;
}

/** `older`: the store has followed this or a newer switch. `not_staged`: the version, or a part of it, is missing. */
export type SwitchResult = 'switched' | 'older' | 'not_staged';

/** The switch that the store has followed; nulls if there was none. */
export interface HeldVersion {
  readonly version: number | null;
  readonly token: SwitchToken | null;
}

/** One part of one version, read in the same step as the pointer. */
export interface PartRead extends HeldVersion {
  /**
   * `absent`: that version is missing or incomplete, or there is no current one; `no_part`: it is complete, but has no
   * such part.
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

/** Hash: part → number of its fields. Null if the artefact has no parts. */
export function partsKey(keys: VersionedKeys, version: number): string | null {
  return keys.plain === null ? null : `${keys.noted}${version}:${keys.plain.parts}`;
}

/** The key of a part of a version that is not current. */
export function stagedKey(plain: NonNullable<VersionedKeys['plain']>, version: number, part: string): string {
  return `${plain.prefix}v${version}:${part}`;
}

/** Throws FreshetError('invalid_data') for a version or token that is not a whole number. */
export function checkSwitch({ version, token }: VersionSwitch): void {
  checkToken(token);
  checkVersion(version);
}

function checkVersion(version: number): void {
  if (!Number.isSafeInteger(version) || version < 1)
    throw new FreshetError('invalid_data', `${version} is not a version: versions count from 1.`);
}
