/**
 * The online store follows Postgres. Anybody may call this, at any time and all at once: the store takes a switch only
 * if its token is newer than the one it has followed and the version is wholly there.
 *
 * The store is asked before Postgres. What it has followed was decided earlier, so Postgres must know it; if it does not,
 * it was put back to an older copy. Asked the other way round, every switch in between would look the same at first.
 */
import { FreshetError } from '../../runtime/process/errors.js';
import { faultPoint } from '../../runtime/process/fault-points.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import { checksumKey, settingsKey, type VersionSwitch } from '../../runtime/stores/versioned-keys.js';
import type { Artefact } from '../layout.js';
import { type CurrentHead, currentHead, decideAgain, raiseTimeline } from './heads.js';
import { checkStoredSettings, liveSettings } from './live-version.js';
import type { StorePlace, VersionName } from './place.js';
import { policyOf } from './policies.js';

const ATTEMPTS_MAX = 8;

/** Brings a version into the online store again, from Postgres; throws when that cannot be done now. */
export type Restage = (version: VersionName, head: CurrentHead) => Promise<void>;

/** For live features, of which nothing is staged. */
export const nothingStaged: Restage = async ({ artefact }) => {
  throw new FreshetError('internal', `Nothing of ${artefact} is ever staged.`);
};

export interface Followed {
  /** What the store follows now. */
  readonly head: CurrentHead;
  /** True when it had to be switched. */
  readonly moved: boolean;
}

/**
 * Null where nothing is current. Errors: those of the stores; FreshetError 'settings' when the store belongs to another
 * installation; 'unavailable' when others switch all the time, or stage at this moment.
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
      // The pointer is right and what is noted about the version is gone: a newer token brings it back.
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
    `The online store could not settle on a version of ${artefact}: others switch.`,
  );
}
