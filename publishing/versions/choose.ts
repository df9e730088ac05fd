/** Which version a promotion or a rollback selects. */
import { FreshetError } from '../../runtime/process/errors.js';
import type { Wish } from './switch.js';

type Choose = Wish['choose'];

/** The given version, otherwise the newest verified one. */
export function promoted(version: number | undefined): Choose {
  return async ({ artefact }, connection) => {
    if (version !== undefined) return version;
    const [newest] = await connection.query<{ version: number | null }>(NEWEST, [artefact]);
    if (newest?.version == null)
      throw new FreshetError('state', `There is no verified version of ${artefact} to promote.`);
    return newest.version;
  };
}

/** The given version, otherwise the one that was current before. */
export function before(to: number | undefined): Choose {
  return async ({ artefact, previous }) => {
    const version = to ?? previous;
    if (version === null) throw new FreshetError('state', `There is no earlier version of ${artefact} to go back to.`);
    return version;
  };
}

const NEWEST = `
SELECT max(version) AS version FROM versions WHERE artefact = $1 AND state = 'verified' AND reaped_at IS NULL`;
