/** The roles `snapshotter:<job>`: runs of the jobs named. */
import type { Versions } from '../../publishing/versions/versions.js';
import { createSnapshotters, type Snapshotters } from '../../snapshotters/main.js';
import { snapshottersOf } from '../snapshotters.js';
import type { Role } from './all.js';
import type { StoreGround } from './ground.js';

/** A snapshot's process is given less time to stop than all of the process. */
const SNAPSHOT_STOP_MS = 5_000;

/** Null where none of the roles is a snapshotter. */
export async function startSnapshotters(
  ground: StoreGround,
  roles: readonly Role[],
  versions: Versions,
): Promise<Snapshotters | null> {
  const snapshotters = await snapshottersOf(roles);
  if (snapshotters.length === 0) return null;
  const { database } = ground.stores;
  const started = createSnapshotters({
    ...ground,
    database,
    versions,
    snapshotters,
    pace: { stopMs: SNAPSHOT_STOP_MS },
  });
  await ground.start(started);
  return started;
}
