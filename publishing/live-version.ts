/**
 * The live features' version in both stores: its tables, its row in `versions`, and the pointer that readers of the
 * online store follow. Postgres decides and the online store follows, so the pointer can be put back at any time by
 * anybody: `follow` runs every second and also heals a store that was emptied.
 */
import type { Clock } from '../runtime/clock.js';
import { FreshetError } from '../runtime/errors.js';
import type { Settings } from '../runtime/settings.js';
import type { Database, Queryable } from '../runtime/stores/database.js';
import type { OnlineStore, SinkId } from '../runtime/stores/online-store.js';
import type { Layout } from './layout.js';

export const LIVE_ARTEFACTS = ['popularity', 'affinity'] as const;
export type LiveArtefact = (typeof LIVE_ARTEFACTS)[number];

/** What a version was made with and a reader must know. */
export interface VersionSettings {
  readonly half_life_ms: number;
}

/** A switch to a version: the newest token wins. */
export interface CurrentVersion {
  readonly version: number;
  readonly seq: number;
  readonly settings: VersionSettings;
}

const HOUR_MS = 3_600_000;

const HALF_LIFE_SETTING = {
  popularity: 'POPULARITY_HALF_LIFE_H',
  affinity: 'AFFINITY_HALF_LIFE_H',
} as const satisfies Record<LiveArtefact, keyof Settings>;

export function versionSettings(artefact: LiveArtefact, settings: Settings): VersionSettings {
  return { half_life_ms: settings[HALF_LIFE_SETTING[artefact]] * HOUR_MS };
}

/** Tables of one version. Harmless where they exist. */
export async function createLiveTables(database: Queryable, version: number): Promise<void> {
  await database.query('SELECT create_live_tables($1::integer)', [version]);
}

/**
 * Makes sure that `version` is there in Postgres; the first version of all becomes current at once. Throws
 * FreshetError('settings') when a half-life is another than the version was made with.
 */
export async function installLiveVersion(
  database: Database,
  version: number,
  settings: Settings,
  nowMs: number,
): Promise<void> {
  await createLiveTables(database, version);
  for (const artefact of LIVE_ARTEFACTS) {
    const wanted = versionSettings(artefact, settings);
    await database.execute(INSERT_VERSION, [artefact, version, JSON.stringify(wanted), nowMs]);
    const [row] = await database.query<{ manifest: VersionSettings }>(
      'SELECT manifest FROM versions WHERE artefact = $1 AND version = $2',
      [artefact, version],
    );
    checkSettings(artefact, version, row!.manifest, wanted);
  }
}

/** Several processes may start at once: one row wins, and only the first version of an artefact is current by itself. */
const INSERT_VERSION = `
INSERT INTO versions (artefact, version, state, manifest, timeline, seq, epoch, created_at, activated_at)
SELECT $1::text, $2::integer, CASE WHEN first THEN 'current' ELSE 'staged' END, $3::jsonb, 1,
       CASE WHEN first THEN 1 ELSE 0 END, 1, at, CASE WHEN first THEN at END
FROM (SELECT NOT EXISTS (SELECT 1 FROM versions WHERE artefact = $1::text) AS first,
             to_timestamp($4::float8 / 1000.0) AS at) AS now
ON CONFLICT DO NOTHING`;

function checkSettings(artefact: LiveArtefact, version: number, made: VersionSettings, wanted: VersionSettings): void {
  if (made.half_life_ms === wanted.half_life_ms) return;
  const name = HALF_LIFE_SETTING[artefact];
  throw new FreshetError(
    'settings',
    `${name} is ${wanted.half_life_ms / HOUR_MS}, but version ${version} of ${artefact} was made with ` +
      `${made.half_life_ms / HOUR_MS}. A version keeps its half-life: set ${name}=${made.half_life_ms / HOUR_MS} ` +
      'again, or make a new version by replay.',
  );
}

/** The current version as Postgres has it; null where there is none. */
export async function currentInDatabase(database: Queryable, artefact: LiveArtefact): Promise<CurrentVersion | null> {
  const [row] = await database.query<{ version: number; seq: number; manifest: VersionSettings }>(
    "SELECT version, seq, manifest FROM versions WHERE artefact = $1 AND state = 'current'",
    [artefact],
  );
  return row === undefined ? null : { version: row.version, seq: row.seq, settings: row.manifest };
}

/**
 * Brings the online store's pointer to what Postgres says; true when it had to be written. The token of the switch is
 * the next offset of a sink of its own: the store's fence refuses what is older, so this may be run by anyone and
 * twice. Throws FreshetError('settings') when the store holds the same version made with another half-life.
 */
export async function followVersion(
  database: Queryable,
  store: OnlineStore,
  layout: Layout,
  artefact: LiveArtefact,
  clock: Clock,
): Promise<boolean> {
  const current = await currentInDatabase(database, artefact);
  if (current === null) return false;
  const { version, seq, settings } = current;
  const pointer = layout.currentVersion(artefact);
  const told = layout.versionSettings(artefact, version);
  const [heldVersion, heldSettings, heldSeq] = await Promise.all([
    store.get(pointer),
    store.get(told),
    store.get(layout.versionSequence(artefact)),
  ]);
  if (heldSettings !== null) checkStored(artefact, version, heldSettings, settings);
  if (heldVersion === String(version) && heldSeq === String(seq) && heldSettings !== null) return false;
  const id: SinkId = { sink: 'versions', topic: artefact, partition: 0 };
  const position = await store.open(id);
  if (position.nextOffset > seq)
    throw new FreshetError(
      'state',
      `The online store has followed switch ${position.nextOffset} of ${artefact}, Postgres knows only ${seq}: its ` +
        'database is an older copy. Empty the online store, it is rebuilt from the log.',
    );
  const batch = {
    id,
    epoch: position.epoch,
    expectedOffset: position.nextOffset,
    nextOffset: seq,
    incarnation: '',
    at: clock.now(),
  };
  const result = await store.apply(batch, [
    { op: 'set', key: told, value: JSON.stringify(settings) },
    { op: 'set', key: layout.versionSequence(artefact), value: String(seq) },
    { op: 'set', key: pointer, value: String(version) },
  ]);
  return result === 'applied';
}

function checkStored(artefact: LiveArtefact, version: number, held: string, settings: VersionSettings): void {
  const made = JSON.parse(held) as VersionSettings;
  if (made.half_life_ms === settings.half_life_ms) return;
  throw new FreshetError(
    'settings',
    `The online store holds version ${version} of ${artefact} made with a half-life of ` +
      `${made.half_life_ms / HOUR_MS} h, Postgres says ${settings.half_life_ms / HOUR_MS} h: the two stores belong to ` +
      'different installations. Give each its own REDIS_KEY_PREFIX or its own store.',
  );
}
