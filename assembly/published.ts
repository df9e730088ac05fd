/** What every process with stores offers, whatever its roles: versions and audits. */
import { createAudits, type LiveAudits } from '../publishing/audit/compose.js';
import { createVersions } from '../publishing/versions/create.js';
import type { Versions } from '../publishing/versions/versions.js';
import type { StoreGround } from './roles/ground.js';

export async function startVersions(ground: StoreGround): Promise<Versions> {
  const versions = createVersions({ ...ground, ...ground.stores });
  await ground.start(versions);
  return versions;
}

/** `publishes`: this process publishes results, so an auditor runs; it starts `after` everything has caught up. */
export async function startAudits(
  ground: StoreGround,
  options: { readonly publishes: boolean; readonly after: Promise<void> },
): Promise<LiveAudits> {
  const audits = createAudits({ ...ground, ...ground.stores, ...options, set: ground.sets.features[0] });
  await ground.start(audits);
  return audits;
}
