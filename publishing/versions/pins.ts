/**
 * Pins by configuration: a process that reads a version because of FEATURE_VERSION_<ARTEFACT> records this in Postgres,
 * so that the version is not reaped while in use.
 */
import { hostname } from 'node:os';
import type { Queryable } from '../../runtime/stores/database.js';
import { DAY_MS } from '../../topics/time.js';
import type { Artefact } from '../layout.js';
import type { PublishingSettings } from '../settings.js';
import { AT, type StorePlace, type VersionName } from './place.js';

export const PIN_SETTINGS = {
  popularity: 'FEATURE_VERSION_POPULARITY',
  affinity: 'FEATURE_VERSION_AFFINITY',
  interactions: 'FEATURE_VERSION_INTERACTIONS',
  stopwords: 'FEATURE_VERSION_STOPWORDS',
  als: 'FEATURE_VERSION_ALS',
  faiss: 'FEATURE_VERSION_FAISS',
} as const satisfies Partial<Record<Artefact, keyof PublishingSettings>>;

type PinnableArtefact = keyof typeof PIN_SETTINGS;
/** Versions that a process reads instead of the current ones. */
export type Pinned = Readonly<Partial<Record<PinnableArtefact, number>>>;

/** A pin not renewed for this long belongs to a process that is gone, even allowing for a weekend's outage. */
export const PIN_MS_MAX = 3 * DAY_MS;

export function pinnedBy(settings: PublishingSettings): Pinned {
  const pinned: Partial<Record<PinnableArtefact, number>> = {};
  for (const [artefact, name] of Object.entries(PIN_SETTINGS) as [PinnableArtefact, keyof PublishingSettings][]) {
    const version = settings[name];
    if (typeof version === 'number') pinned[artefact] = version;
  }
  return pinned;
}

/** One name per process and start. */
export const PIN_HOLDER = `${hostname()}/${process.pid}/${Math.round(performance.timeOrigin)}`;

export async function renewPins({ database, clock }: StorePlace, pinned: Pinned, holder: string): Promise<void> {
  for (const { artefact, version } of entriesOf(pinned))
    await database.execute(RENEW, [artefact, version, holder, clock.now()]);
  await database.execute(`DELETE FROM version_pins WHERE renewed_at <= ${AT(1)}`, [clock.now() - PIN_MS_MAX]);
}

/** At the end of the process. */
export async function releasePins(database: Queryable, holder: string): Promise<void> {
  await database.execute('DELETE FROM version_pins WHERE holder = $1', [holder]);
}

function entriesOf(pinned: Pinned): VersionName[] {
  return Object.entries(pinned).map(([artefact, version]) => ({ artefact: artefact as PinnableArtefact, version }));
}

const RENEW = `
INSERT INTO version_pins (artefact, version, holder, renewed_at) VALUES ($1, $2, $3, ${AT(4)})
ON CONFLICT (artefact, version, holder) DO UPDATE SET renewed_at = excluded.renewed_at`;
