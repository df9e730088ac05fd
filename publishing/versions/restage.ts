/**
 * Restores from Postgres a current version that the online store has lost. One process does it at a time: two would
 * stop each other over and over.
 */
import type { Clock } from '../../runtime/process/clock.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import { contentsOf } from './artefacts/all.js';
import type { Restage } from './follow.js';
import type { VersionsPlace } from './place.js';

const BEAT_MS = 10_000;

/** Errors of the returned function: 'unavailable' while another process does it. */
export function restageFromDatabase(place: VersionsPlace): Restage {
  return async (version, { checksum }) => {
    const { artefact, version: number } = version;
    if (checksum === null) throw new FreshetError('state', `Version ${number} of ${artefact} has no checksum.`);
    await place.database.transaction(async (connection) => {
      const [lock] = await connection.query<{ mine: boolean }>(
        'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS mine',
        [`freshet restage ${artefact}`],
      );
      if (!lock!.mine) throw new FreshetError('unavailable', `Another process is restoring ${artefact} right now.`);
      place.logger.warn(
        { event: 'version_restaged', artefact, version: number },
        'The online store had lost a version; it is staged again',
      );
      const done = new AbortController();
      const beats = keepAlive(connection, place.clock, done.signal);
      try {
        await contentsOf(artefact).stageKeys(place, version, checksum);
      } finally {
        done.abort();
        await beats;
      }
    });
  };
}

/** Postgres ends a transaction, and so the lock, after an idle minute; a large model takes longer. */
async function keepAlive(connection: Queryable, clock: Clock, done: AbortSignal): Promise<void> {
  for (;;) {
    await clock.sleep(BEAT_MS, done);
    if (done.aborted) return;
    // A lost connection is reported when the transaction ends.
    await connection.query('SELECT 1').catch(() => undefined);
  }
}
