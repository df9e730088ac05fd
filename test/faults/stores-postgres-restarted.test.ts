/** I12: Postgres is restarted, and then killed, while its sinks write. They wait and continue at its position. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { removePrivatePostgres, startPrivatePostgres } from '../../runtime/stores/postgres/private-postgres.js';
import { untilGone } from '../support/processes.js';
import { tableScene } from '../support/stores/sink-scene.js';

test('a Postgres that goes down and comes back misses nothing', { timeout: 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-faults-postgres-'));
  const start = () => startPrivatePostgres(folder, silentLogger);
  let server = await start();
  const { options } = server;
  t.after(async () => {
    await server.stop();
    await removePrivatePostgres(folder);
    await rm(folder, { recursive: true, force: true });
  });
  const database = await openPostgres(options, silentLogger);
  t.after(() => database.close());
  await migrateUp(database);
  const kill = async () => {
    const [row] = await database.query<{ lock: string }>("SELECT pg_read_file('postmaster.pid') AS lock");
    const pid = Number.parseInt(row!.lock, 10);
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
  };
  const { writer, materialiser, failures, events, settled } = await tableScene(t, database, database);
  await writer.write(200);
  await materialiser.start();
  await settled();
  for (const end of [() => server.stop(), kill]) {
    const failed = await failures();
    const writing = writer.write(300);
    await end();
    await writing;
    await writer.write(100);
    await events.until('the sinks have noticed', async () => (await failures()) > failed);
    server = await start();
    assert.deepEqual(server.options, options);
    await settled();
  }
});
