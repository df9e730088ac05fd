/**
 * I5: the connection to Postgres is cut after a batch committed, before the answer arrived. It is not applied again.
 */
import { test } from 'node:test';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { CutProxy } from '../support/proxy.js';
import { startPostgres } from '../support/services/postgres.js';
import { loseAnswers, tableScene } from '../support/stores/sink-scene.js';

test('a batch whose commit was not confirmed counts once', { timeout: 30_000 }, async (t) => {
  const service = await startPostgres();
  t.after(() => service.stop());
  const direct = await openPostgres({ url: service.url }, silentLogger);
  t.after(() => direct.close());
  await migrateUp(direct);
  const { hostname, port } = new URL(service.url);
  const proxy = await CutProxy.to({ host: hostname, port: Number(port) });
  const database = await openPostgres({ url: proxy.through(service.url) }, silentLogger);
  t.after(async () => {
    await database.close();
    await proxy.close();
  });
  await loseAnswers(await tableScene(t, database, direct), proxy);
});
