/**
 * The live features as versions: their tables, their rows in `versions` and `version_heads`, and the half-life, which
 * never changes within a version. The online store follows as for every artefact (versions/follow.ts).
 */
import { FreshetError } from '../../runtime/process/errors.js';
import type { Database, Queryable } from '../../runtime/stores/database.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { HOUR_MS } from '../../topics/time.js';
import type { FoldSettings } from '../settings.js';
import { lockHead } from './heads.js';

export const LIVE_ARTEFACTS = ['popularity', 'affinity', 'interactions'] as const;
export type LiveArtefact = (typeof LIVE_ARTEFACTS)[number];

/** The settings a version was created with that a reader must know. */
export interface VersionSettings {
  readonly half_life_ms: number;
}

const HALF_LIFE_SETTING = {
  popularity: 'POPULARITY_HALF_LIFE_H',
  affinity: 'AFFINITY_HALF_LIFE_H',
  interactions: 'AFFINITY_HALF_LIFE_H',
} as const satisfies Record<LiveArtefact, keyof FoldSettings>;

export function versionSettings(artefact: LiveArtefact, settings: FoldSettings): VersionSettings {
  return { half_life_ms: settings[HALF_LIFE_SETTING[artefact]] * HOUR_MS };
}

/** The settings of a live version that a reader must know, taken from its manifest. */
export function liveSettings(manifest: Readonly<Record<string, unknown>>): VersionSettings {
  const { half_life_ms } = manifest;
  if (typeof half_life_ms !== 'number') throw new FreshetError('state', 'A live version has no half_life_ms.');
  return { half_life_ms };
}

/** Tables of one version. Does nothing if they exist. */
export async function createLiveTables(database: Queryable, { version }: FeatureSet): Promise<void> {
  await database.query('SELECT create_live_tables($1::integer)', [version]);
}

/**
 * Makes sure that the set's version exists in Postgres; the very first version becomes current at once. Throws
 * FreshetError('settings') if a half-life differs from the one the version was created with.
 */
export async function installLiveVersion(
  database: Database,
  set: FeatureSet,
  settings: FoldSettings,
  nowMs: number,
): Promise<void> {
  const { version } = set;
  await createLiveTables(database, set);
  for (const artefact of LIVE_ARTEFACTS) {
    const wanted = versionSettings(artefact, settings);
    const made = await database.transaction(async (connection) => {
      // Several processes may start at once: the lock makes them take turns.
      const head = await lockHead(connection, artefact);
      const isFirst = head.current === null;
      const manifest = JSON.stringify(wanted);
      if ((await connection.execute(INSERT_VERSION, [artefact, version, isFirst, manifest, nowMs])) > 0)
        await connection.execute(isFirst ? FIRST : COUNT, [artefact, version]);
      const [row] = await connection.query<{ manifest: VersionSettings }>(
        'SELECT manifest FROM versions WHERE artefact = $1 AND version = $2',
        [artefact, version],
      );
      return row!.manifest;
    });
    checkSettings(artefact, version, made, wanted);
  }
}

const INSERT_VERSION = `
INSERT INTO versions (artefact, version, state, manifest, timeline, seq, epoch, created_at, activated_at)
SELECT $1, $2, CASE WHEN $3 THEN 'current' ELSE 'staged' END, $4::jsonb, h.timeline, CASE WHEN $3 THEN h.seq + 1 ELSE 0 END,
       1, at, CASE WHEN $3 THEN at END
FROM version_heads h, to_timestamp($5::float8 / 1000.0) AS at
WHERE h.artefact = $1
ON CONFLICT DO NOTHING`;

const COUNT = 'UPDATE version_heads SET last_version = greatest(last_version, $2) WHERE artefact = $1';

const FIRST = `
UPDATE version_heads SET seq = seq + 1, epoch = 1, current = $2, last_version = greatest(last_version, $2)
WHERE artefact = $1`;

function checkSettings(artefact: LiveArtefact, version: number, made: VersionSettings, wanted: VersionSettings): void {
  if (made.half_life_ms === wanted.half_life_ms) return;
  const name = HALF_LIFE_SETTING[artefact];
  throw new FreshetError(
    'settings',
    `${name} is ${wanted.half_life_ms / HOUR_MS}, but version ${version} of ${artefact} was created with ` +
      `${made.half_life_ms / HOUR_MS}. A version keeps its half-life: set ${name}=${made.half_life_ms / HOUR_MS} ` +
      'again, or create a new version by replay.',
  );
}

/** Throws FreshetError('settings') if the store holds the same version created with another half-life. */
export function checkStoredSettings(artefact: string, version: number, held: string, settings: VersionSettings): void {
  const made = JSON.parse(held) as VersionSettings;
  if (made.half_life_ms === settings.half_life_ms) return;
  throw new FreshetError(
    'settings',
    `The online store holds version ${version} of ${artefact} created with a half-life of ` +
      `${made.half_life_ms / HOUR_MS} h, Postgres says ${settings.half_life_ms / HOUR_MS} h: the two stores belong to ` +
      'different installations. Give each its own REDIS_KEY_PREFIX or its own store.',
  );
}
