/** How the content of an artefact gets from its folder into the stores, and out of them again. One per artefact. */
import type { Manifest } from '../manifest.js';
import type { VersionName, VersionsPlace } from '../place.js';

/** A version while it is staged by the publisher with this epoch. */
export interface StagedVersion extends VersionName {
  readonly epoch: number;
}

export interface Contents {
  /**
   * Brings the rows from the version's folder into Postgres in place of what an earlier attempt left, reads them back and
   * answers the checksum of the content. Errors: 'invalid_data' when the files are not what they should be or Postgres
   * holds something else; 'fenced' when the version is not this publisher's any more.
   */
  stageRows(place: VersionsPlace, version: StagedVersion, manifest: Manifest): Promise<string>;
  /**
   * Brings a version into the online store from Postgres, reads it back, and last sets its checksum key. Errors:
   * 'invalid_data' when either store holds something else than the checksum says.
   */
  stageKeys(place: VersionsPlace, version: VersionName, checksum: string): Promise<void>;
  /** Harmless when they are gone. */
  removeRows(place: VersionsPlace, version: VersionName): Promise<void>;
  /**
   * Names in the online store of a version that is not current there, what is noted about it included, in the order in
   * which they are to go: the checksum first, so that half a version is taken for none. In pages, each of which may be
   * gone when the next one is asked for; a name may come twice.
   */
  keysOf(place: VersionsPlace, version: VersionName): AsyncIterable<readonly string[]>;
}
