/** The roles `snapshotter:<job>`: run the named jobs. */
import { Worker } from '../../jobs/worker.js';
import type { Versions } from '../../publishing/versions/versions.js';
import { snapshotJobs } from '../../snapshotters/snapshot-job.js';
import { snapshottersOf } from '../snapshotters.js';
import type { Role } from './all.js';
import type { StoreGround } from './ground.js';

/** A snapshot's child process has less time to stop than the whole process. */
const SNAPSHOT_STOP_MS = 5_000;

/** Null if none of the roles is a snapshotter. */
export async function startSnapshotters(
  ground: StoreGround,
  roles: readonly Role[],
  versions: Versions,
): Promise<Worker | null> {
  const snapshotters = await snapshottersOf(roles);
  if (snapshotters.length === 0) return null;
  const { database } = ground.stores;
  const jobs = snapshotJobs(snapshotters, { ...ground, versions, pace: { stopMs: SNAPSHOT_STOP_MS } });
  const worker = new Worker({ ...ground, database, jobs });
  await ground.start(worker);
  return worker;
}
