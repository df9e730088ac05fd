/** How the content of an artefact gets from its folder into the stores, and how it is removed. One per artefact. */
import type { Manifest } from '../manifest.js';
import type { VersionName, VersionsPlace } from '../place.js';

/** A version being staged by the publisher with this epoch. */
export interface StagedVersion extends VersionName {
  readonly epoch: number;
}

export interface Contents {
  /**
   * Loads the rows from the version's folder into Postgres, replacing those of an earlier attempt, reads them back and
   * returns the checksum of the content. Errors: 'invalid_data' if the files are not as expected or Postgres holds
   * something else; 'fenced' if the version no longer belongs to this publisher.
   */
  stageRows(place: VersionsPlace, version: StagedVersion, manifest: Manifest): Promise<string>;
  /**
   * Loads a version into the online store from Postgres, reads it back, and finally sets its checksum key. Errors:
   * 'invalid_data' if the content of either store does not match the checksum.
   */
  stageKeys(place: VersionsPlace, version: VersionName, checksum: string): Promise<void>;
  /** Does nothing if they are gone. */
  removeRows(place: VersionsPlace, version: VersionName): Promise<void>;
  /**
   * Names in the online store of a version that is not current there, including its metadata, in the order of deletion:
   * the checksum first, so that a partial version is not mistaken for a whole one. In pages, each of which may be
   * deleted before the next one is requested; a name may appear twice.
   */
  keysOf(place: VersionsPlace, version: VersionName): AsyncIterable<readonly string[]>;
}
