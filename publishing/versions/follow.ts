/**
 * The online store follows Postgres. Any process may call this at any time, even several at once: the store accepts a
 * switch only if its token is newer than the last one it followed and the version is complete.
 *
 * The store is read before Postgres. What it has followed was decided earlier, so Postgres must know it; if Postgres
 * does not, it was restored from an older copy. In the opposite order, every switch in between would look like that at
 * first.
 */
import { FreshetError } from '../../runtime/process/errors.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import { checksumKey, settingsKey, type VersionSwitch } from '../../runtime/stores/versioned-keys.js';
import type { Artefact } from '../layout.js';
import { faultPoint } from './fault-points.js';
import { type CurrentHead, currentHead, decideAgain, raiseTimeline } from './heads.js';
import { checkStoredSettings, liveSettings } from './live-version.js';
import type { StorePlace, VersionName } from './place.js';
import { policyOf } from './policies.js';

const ATTEMPTS_MAX = 8;

/** Loads a version into the online store again, from Postgres; throws if that is not possible now. */
export type Restage = (version: VersionName, head: CurrentHead) => Promise<void>;

/** For live features, which are never staged. */
export const nothingStaged: Restage = async ({ artefact }) => {
  throw new FreshetError('internal', `${artefact} is never staged.`);
};

export interface Followed {
  /** What the store follows now. */
  readonly head: CurrentHead;
  /** True if it had to be switched. */
  readonly moved: boolean;
}

/**
 * Null if nothing is current. Errors: those of the stores; FreshetError 'settings' if the store belongs to another
 * installation; 'unavailable' if other processes keep switching, or are staging right now.
 */
export async function follow(place: StorePlace, artefact: Artefact, restage: Restage): Promise<Followed | null> {
  const { store, layout, database } = place;
  const keys = layout.versioned(artefact);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const held = await store.heldVersion(keys);
    await faultPoint('version.store_asked', artefact);
    const head = await currentHead(database, artefact);
    if (head === null) return null;
    const { current, checksum } = head;
    const settings = policyOf(artefact).live ? liveSettings(head.manifest) : null;
    const noted = await store.get(settings === null ? checksumKey(keys, current) : settingsKey(keys, current));
    if (settings !== null && noted !== null) checkStoredSettings(artefact, current, noted, settings);
    const order = compareTokens(held.token, head);
    if (held.token !== null && (order > 0 || (order === 0 && held.version !== current))) {
      await raiseTimeline(place, artefact, held.token, held.version);
      continue;
    }
    if (order === 0 && noted !== null) return { head, moved: false };
    if (order === 0) {
      // The pointer is right but the version's metadata is gone: a newer token restores it.
      await decideAgain(database, head);
      continue;
    }
    const token = { timeline: head.timeline, seq: head.seq };
    const to: VersionSwitch = {
      version: current,
      token,
      checksum,
      settings: settings === null ? null : JSON.stringify(settings),
    };
    await faultPoint('version.following', artefact);
    const result = await store.switchVersion(keys, to);
    if (result === 'switched') return { head, moved: true };
    if (result === 'not_staged') await restage({ artefact, version: current }, head);
  }
  throw new FreshetError(
    'unavailable',
    `The online store could not settle on a version of ${artefact}: other processes keep switching.`,
  );
}
