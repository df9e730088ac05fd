/** Versions as listed for users. */
import type { Queryable } from '../../runtime/stores/database.js';
import type { Artefact } from '../layout.js';
import { readHead } from './heads.js';
import type { VersionEntry, VersionList } from './versions.js';

/** An artefact without any version has an empty list. */
export async function listVersions(database: Queryable, artefact: Artefact): Promise<VersionList> {
  // The head first: a version that becomes current in between is then in the list, if only as the previous one.
  const head = await readHead(database, artefact);
  const versions = await database.query<VersionEntry>(LIST, [artefact]);
  return {
    artefact,
    current: versions.find(({ state }) => state === 'current')?.version ?? null,
    candidate: null,
    share: 0,
    pinned: head?.pinned ?? null,
    versions,
  };
}

const LIST = `
SELECT version, state, created_at, activated_at, reaped_at IS NOT NULL AS reaped, reason, manifest
FROM versions WHERE artefact = $1 ORDER BY version DESC`;
