/** Taking away what nobody will read any more: of a version that failed, or that was kept long enough. */
import { contentsOf } from './artefacts/all.js';
import { versionFailed } from './events.js';
import { faultPoint } from './fault-points.js';
import { AT, type VersionName, type VersionsPlace } from './place.js';
import { StagingBatches, stagingSink } from './staging.js';

/** Marks a version that never became current as failed and removes its data; the row stays and gives the reason. */
export async function giveUp(place: VersionsPlace, version: VersionName, reason: string): Promise<void> {
  const { artefact, version: number } = version;
  if ((await place.database.execute(FAIL, [artefact, number, reason])) === 0) return;
  place.events.emit(versionFailed, { ...version, reason });
  await removeData(place, version);
}

/** Rows, keys and folder, as far as they still exist. The version must be failed or reaped, and not current there. */
export async function removeData(place: VersionsPlace, version: VersionName): Promise<void> {
  const { artefact, version: number } = version;
  const where = `${artefact}/${number}`;
  await removeKeys(place, version);
  await faultPoint('version.keys_removed', where);
  await contentsOf(artefact).removeRows(place, version);
  await place.artifacts.remove(artefact, number);
  await faultPoint('version.folder_removed', where);
  await place.database.execute(REMOVED, [artefact, number, place.clock.now()]);
}

/** First stops any process that is still staging the version. */
export async function removeKeys(place: VersionsPlace, version: VersionName): Promise<void> {
  const { store, layout } = place;
  const batches = await StagingBatches.open(place, version);
  for await (const keys of contentsOf(version.artefact).keysOf(place, version)) await store.discard(keys);
  await batches.send([{ op: 'hdel', key: layout.versionIndex(version.artefact), field: String(version.version) }]);
  await batches.finish();
  await store.discard([], [stagingSink(version)]);
}

const FAIL = `
UPDATE versions SET state = 'failed', reason = $3
WHERE artefact = $1 AND version = $2 AND state = 'staged'`;

const REMOVED = `UPDATE versions SET removed_at = ${AT(3)} WHERE artefact = $1 AND version = $2`;
