/** Keeps the rollback version in the online store: if an emptied store has lost it, it is restored as well. */
import { checksumKey } from '../../runtime/stores/versioned-keys.js';
import type { Artefact } from '../layout.js';
import type { Restage } from './follow.js';
import { type CurrentHead, readHead } from './heads.js';
import type { VersionsPlace } from './place.js';
import { policyOf } from './policies.js';

export async function keepPreviousReady(place: VersionsPlace, artefact: Artefact, restage: Restage): Promise<void> {
  if (policyOf(artefact).live) return;
  const head = await readHead(place.database, artefact);
  if (head?.previous == null || head.current === null) return;
  const version = head.previous;
  if ((await place.store.get(checksumKey(place.layout.versioned(artefact), version))) !== null) return;
  const [row] = await place.database.query<Pick<CurrentHead, 'manifest' | 'checksum'>>(KEPT, [artefact, version]);
  if (row === undefined) return;
  await restage({ artefact, version }, { ...head, ...row, current: head.current });
}

const KEPT = `
SELECT manifest, checksum FROM versions
WHERE artefact = $1 AND version = $2 AND state = 'retired' AND reaped_at IS NULL AND checksum IS NOT NULL`;
