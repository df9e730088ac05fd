/** Points of publishing and removing a version at which fault tests intervene. */
import { type FaultHook, passFaultPoint } from '../../runtime/process/fault-points.js';

/** In the order in which a version passes them. */
export type VersionPoint =
  | 'version.allocated'
  | 'version.moved'
  | 'version.rows_staged'
  | 'version.keys_staged'
  | 'version.verified'
  | 'version.decided'
  | 'version.store_asked'
  | 'version.following'
  | 'version.followed'
  | 'version.released'
  | 'version.reaping'
  | 'version.keys_removed'
  | 'version.folder_removed';

export const faultPoint: FaultHook<VersionPoint> = passFaultPoint;
