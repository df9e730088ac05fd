/** The row that decides: which version of an artefact is current, under which token. */
import type { Queryable } from '../../runtime/stores/database.js';
import type { SwitchToken } from '../../runtime/stores/switch-token.js';
import type { Artefact } from '../layout.js';
import { timelineRaised } from './events.js';
import type { StorePlace } from './place.js';

export interface Head extends SwitchToken {
  readonly artefact: Artefact;
  /** Highest epoch of any publisher that has switched. */
  readonly epoch: number;
  readonly current: number | null;
  readonly previous: number | null;
  readonly pinned: number | null;
  /** Highest number ever assigned. */
  readonly last_version: number;
}

/** A head with the details of its current version that readers need. */
export interface CurrentHead extends Head {
  readonly current: number;
  /** JSON as it was given. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** Of the staged content; null if nothing is staged beforehand. */
  readonly checksum: string | null;
}

/** Null before the first version became current. */
export async function currentHead(database: Queryable, artefact: Artefact): Promise<CurrentHead | null> {
  const [row] = await database.query<CurrentHead>(CURRENT, [artefact]);
  return row ?? null;
}

export async function readHead(database: Queryable, artefact: Artefact): Promise<Head | null> {
  const [row] = await database.query<Head>('SELECT * FROM version_heads WHERE artefact = $1', [artefact]);
  return row ?? null;
}

/** The same row, created if missing, locked until the transaction ends. */
export async function lockHead(connection: Queryable, artefact: Artefact): Promise<Head> {
  await connection.execute('INSERT INTO version_heads (artefact) VALUES ($1) ON CONFLICT DO NOTHING', [artefact]);
  const [row] = await connection.query<Head>('SELECT * FROM version_heads WHERE artefact = $1 FOR UPDATE', [artefact]);
  return row!;
}

export async function artefactsWithHeads(database: Queryable): Promise<Artefact[]> {
  const rows = await database.query<{ artefact: Artefact }>('SELECT artefact FROM version_heads ORDER BY 1');
  return rows.map(({ artefact }) => artefact);
}

/**
 * Another process has followed a token that Postgres does not know, or knows for another version: Postgres was restored
 * from an older copy and assigns numbers a second time. A new timeline makes its decisions newer than all of those.
 */
export async function raiseTimeline(
  { database, events }: StorePlace,
  artefact: Artefact,
  seen: SwitchToken,
  seenVersion: number | null,
): Promise<void> {
  const raised = await database.execute(RAISE, [artefact, seen.timeline, seen.seq, seenVersion ?? 0]);
  if (raised === 0) return;
  events.emit(timelineRaised, { artefact, seen, seenVersion });
}

/** Takes a newer token for the same version, so that the stores follow it once more. */
export async function decideAgain(database: Queryable, head: CurrentHead): Promise<void> {
  await database.execute(AGAIN, [head.artefact, head.timeline, head.seq]);
}

const CURRENT = `
SELECT h.*, v.manifest, v.checksum FROM version_heads h
JOIN versions v ON v.artefact = h.artefact AND v.version = h.current
WHERE h.artefact = $1`;

/** Only if Postgres still does not know the switch: the caller may have looked before it was decided. */
const RAISE = `
UPDATE version_heads SET timeline = $2::bigint + 1, seq = 1, last_version = greatest(last_version, $4::integer)
WHERE artefact = $1
  AND ((timeline, seq) < ($2::bigint, $3::bigint)
    OR (timeline, seq) = ($2::bigint, $3::bigint) AND current IS DISTINCT FROM $4::integer)`;

const AGAIN = `
UPDATE version_heads SET seq = seq + 1 WHERE artefact = $1 AND timeline = $2::bigint AND seq = $3::bigint`;
