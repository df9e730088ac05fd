/**
 * What is kept, and for how long. A version that is not current, previous or pinned is removed once it has been retired
 * for the time its policy says. First Postgres records that it is gone, under the lock of the head, so that no rollback
 * can choose it any more; then the data is removed, and if that is interrupted the next check continues.
 */
import type { Artefact } from '../layout.js';
import { faultPoint } from './fault-points.js';
import { lockHead } from './heads.js';
import { PIN_MS_MAX } from './pins.js';
import { AT, type VersionsPlace } from './place.js';
import { policyOf } from './policies.js';
import { giveUp, removeData, removeKeys } from './remove.js';

/** A publisher that shows no activity for this long, while a newer one has switched, is dead. */
const SILENT_MS_MAX = 60_000;

/** Errors: those of the stores and of the disk. */
export async function retain(place: VersionsPlace, artefact: Artefact): Promise<void> {
  if (policyOf(artefact).live) return;
  await giveUpDead(place, artefact);
  const reaped = await reap(place, artefact);
  for (const version of reaped) {
    await faultPoint('version.reaping', `${artefact}/${version}`);
    place.logger.info({ event: 'version_reaped', artefact, version }, 'The version was kept long enough');
  }
  await removeLeftovers(place, artefact);
}

async function giveUpDead(place: VersionsPlace, artefact: Artefact): Promise<void> {
  const dead = await place.database.query<{ version: number }>(DEAD, [artefact, place.clock.now() - SILENT_MS_MAX]);
  for (const { version } of dead)
    await giveUp(
      place,
      { artefact, version },
      'Its run ended before it was finished, and a later run has published since.',
    );
}

async function reap({ database, clock }: VersionsPlace, artefact: Artefact): Promise<number[]> {
  const now = clock.now();
  const before = now - policyOf(artefact).keptMs;
  return database.transaction(async (connection) => {
    await lockHead(connection, artefact);
    const rows = await connection.query<{ version: number }>(REAP, [artefact, now, before, now - PIN_MS_MAX]);
    return rows.map(({ version }) => version);
  });
}

/**
 * Removes data of versions that failed or were reaped, including leftovers of a crash or a late publisher. Existing
 * data is listed before Postgres is read: a version that begins in between is then known.
 */
async function removeLeftovers(place: VersionsPlace, artefact: Artefact): Promise<void> {
  const { database, store, layout, artifacts, logger } = place;
  const index = [...(await store.hgetall(layout.versionIndex(artefact))).keys()].map(Number);
  const held = await store.heldVersion(layout.versioned(artefact));
  const folders = await artifacts.versions(artefact);
  const rows = await database.query<Kept>(KEPT, [artefact]);
  const known = new Map(rows.map((row) => [row.version, row]));
  const isGone = (version: number) => known.get(version)?.gone === true && version !== held.version;
  const due = new Set([...index, ...folders].filter(isGone));
  for (const { version, removed } of rows) if (!removed && isGone(version)) due.add(version);
  for (const version of due) await removeData(place, { artefact, version });
  for (const version of index)
    if (!known.has(version) && version !== held.version) {
      logger.warn(
        { event: 'version_unknown_removed', artefact, version },
        'The online store held a version that Postgres does not know; removed',
      );
      await removeKeys(place, { artefact, version });
    }
}

interface Kept {
  readonly version: number;
  readonly gone: boolean;
  readonly removed: boolean;
}

const DEAD = `
SELECT v.version FROM versions v JOIN version_heads h ON h.artefact = v.artefact
WHERE v.artefact = $1 AND v.state = 'staged' AND v.run_id IS NOT NULL AND v.epoch < h.epoch AND v.touched_at < ${AT(2)}
ORDER BY 1`;

/** $2 now, $3 retired before, $4 pins renewed after. A version that was never current counts from its creation. */
const REAP = `
UPDATE versions v SET reaped_at = ${AT(2)}
FROM version_heads h
WHERE v.artefact = $1 AND h.artefact = v.artefact AND v.reaped_at IS NULL
  AND (v.state = 'retired' AND v.retired_at <= ${AT(3)} OR v.state = 'verified' AND v.created_at <= ${AT(3)})
  AND v.version IS DISTINCT FROM h.current
  AND v.version IS DISTINCT FROM h.previous
  AND v.version IS DISTINCT FROM h.pinned
  AND NOT EXISTS (
    SELECT 1 FROM version_pins p
    WHERE p.artefact = v.artefact AND p.version = v.version AND p.renewed_at > ${AT(4)}
  )
RETURNING v.version`;

const KEPT = `
SELECT version, state = 'failed' OR reaped_at IS NOT NULL AS gone, removed_at IS NOT NULL AS removed
FROM versions WHERE artefact = $1`;
