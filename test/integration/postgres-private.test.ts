/** The private Postgres: it keeps its data, stops with its owner, and the remains of a killed run are cleared away. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openStores, removePrivateStores } from '../../runtime/stores/open-stores.js';
import { openPostgres, type PostgresOptions } from '../../runtime/stores/postgres/postgres.js';
import { existingPlace, runsAsRoot } from '../../runtime/stores/postgres/postgres-place.js';
import {
  type PrivatePostgres,
  removePrivatePostgres,
  startPrivatePostgres,
} from '../../runtime/stores/postgres/private-postgres.js';
import { isAlive, killHard, nextLine, runScript, untilGone, watcherOf } from '../support/processes.js';

const OWNER = new URL('../support/services/private-servers-owner.js', import.meta.url);

describe('private Postgres', () => {
  const folders: string[] = [];
  const started: PrivatePostgres[] = [];
  const newFolder = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'freshet-postgres-private-'));
    folders.push(folder);
    return folder;
  };
  const start = async (folder: string) => {
    const server = await startPrivatePostgres(folder, silentLogger);
    started.push(server);
    return server;
  };
  after(async () => {
    for (const server of started) await server.stop();
    // Last first: some are inside others.
    for (const folder of folders.reverse()) {
      await removePrivatePostgres(folder);
      await rm(folder, { recursive: true, force: true });
    }
  });

  const run = async <T>(options: PostgresOptions, sql: string): Promise<T[]> => {
    const database = await openPostgres(options, silentLogger);
    try {
      return (await database.query(sql)) as T[];
    } finally {
      await database.close();
    }
  };
  const write = (options: PostgresOptions, value: string) =>
    run(options, `CREATE TABLE IF NOT EXISTS kept (value text); INSERT INTO kept VALUES ('${value}')`);
  const read = async (options: PostgresOptions) =>
    (await run<{ value: string }>(options, 'SELECT value FROM kept')).map(({ value }) => value);
  const pidIn = async (folder: string) => {
    const place = await existingPlace(folder);
    return Number.parseInt(await readFile(join(place!.cluster, 'postmaster.pid'), 'utf8'), 10);
  };

  test('a restart keeps the data; only its password gives access; stopping waits for the end', async () => {
    const folder = await newFolder();
    const server = await start(folder);
    assert.ok(server.options.host?.startsWith('/'), 'it listens on a socket');
    await write(server.options, 'kept');
    await assert.rejects(run({ ...server.options, password: 'wrong' }, 'SELECT 1'), (error) =>
      hasCode(error, 'access'),
    );
    assert.equal((await stat(join(folder, 'postgres.json'))).mode & 0o077, 0);
    const pid = await pidIn(folder);
    await server.stop();
    await untilGone(pid, 0);
    await server.stop();
    const again = await start(folder);
    assert.deepEqual(await read(again.options), ['kept']);
    assert.match(again.how, /^private PostgreSQL \d/);
    assert.ok(!again.how.includes(again.options.password ?? '?'));
  });

  test('as root it runs as nobody, outside the data folder, and removal takes both', async () => {
    const folder = await newFolder();
    const server = await start(folder);
    const place = (await existingPlace(folder))!;
    assert.equal(!place.folder.startsWith(folder), runsAsRoot());
    if (runsAsRoot()) {
      assert.equal((await stat(place.cluster)).uid, 65534);
      assert.equal((await stat(place.folder)).uid, 0);
    }
    // It is still running: removal stops it first.
    const pid = await pidIn(folder);
    await removePrivatePostgres(folder);
    assert.ok(!isAlive(pid));
    await server.stop();
    await assert.rejects(stat(place.folder), { code: 'ENOENT' });
    await assert.rejects(stat(join(folder, 'postgres.json')), { code: 'ENOENT' });
    await removePrivatePostgres(folder);
    await write((await start(folder)).options, 'again');
  });

  test('when its owner is killed it shuts down', async () => {
    const folder = await newFolder();
    const owner = runScript(OWNER, [folder, 'postgres']);
    const options = JSON.parse(await nextLine(owner)) as PostgresOptions;
    await write(options, 'by the killed');
    const pid = await pidIn(folder);
    await killHard(owner);
    await untilGone(pid);
    assert.deepEqual(await read((await start(folder)).options), ['by the killed']);
  });

  test('a server that outlived owner and watcher is stopped at the next start', async () => {
    const folder = await newFolder();
    const owner = runScript(OWNER, [folder, 'postgres']);
    const options = JSON.parse(await nextLine(owner)) as PostgresOptions;
    await write(options, 'stranded');
    const pid = await pidIn(folder);
    process.kill(await watcherOf(pid), 'SIGKILL');
    await killHard(owner);
    assert.ok(isAlive(pid), 'it still runs');
    const server = await start(folder);
    await untilGone(pid, 0);
    assert.deepEqual(await read(server.options), ['stranded']);
  });

  test('kill -9 of the server: its lock and socket are cleared away and it recovers', async () => {
    const folder = await newFolder();
    const server = await start(folder);
    await write(server.options, 'survives');
    process.kill(await pidIn(folder), 'SIGKILL');
    await server.stop();
    assert.deepEqual(await read((await start(folder)).options), ['survives']);
  });

  test('a lock that names a foreign process neither prevents the start nor harms that process', async () => {
    const folder = await newFolder();
    const server = await start(folder);
    await write(server.options, 'kept');
    await server.stop();
    const place = (await existingPlace(folder))!;
    const stranger = runScript(OWNER, [await newFolder(), 'nothing']);
    await nextLine(stranger);
    await writeFile(join(place.cluster, 'postmaster.pid'), `${stranger.pid}\n${place.cluster}\n`);
    assert.deepEqual(await read((await start(folder)).options), ['kept']);
    assert.ok(stranger.pid !== undefined && isAlive(stranger.pid));
    await killHard(stranger);
  });

  test('an interrupted first start is repeated from scratch', async () => {
    const folder = await newFolder();
    await (await start(folder)).stop();
    const place = (await existingPlace(folder))!;
    // As if initdb had not finished.
    await rename(place.cluster, join(place.serverFolder, 'cluster.0123456789ab.tmp'));
    await write((await start(folder)).options, 'again');
    await assert.rejects(stat(join(place.serverFolder, 'cluster.0123456789ab.tmp')), { code: 'ENOENT' });
  });

  test('a copied data folder gets its own server, a moved one keeps its server', async () => {
    const folder = await newFolder();
    const server = await start(folder);
    await write(server.options, 'original');
    await server.stop();
    const moved = join(await newFolder(), 'moved');
    await rename(folder, moved);
    folders.push(moved);
    const again = await start(moved);
    assert.deepEqual(await read(again.options), ['original']);
    await again.stop();
    if (!runsAsRoot()) return;
    const copy = join(await newFolder(), 'copy');
    await cp(moved, copy, { recursive: true });
    folders.push(copy);
    const [first, second] = [await start(moved), await start(copy)];
    assert.notEqual(second.options.host, first.options.host);
    assert.deepEqual(await read(first.options), ['original']);
    await write(second.options, 'copy');
    assert.deepEqual(await read(second.options), ['copy']);
  });

  test('a damaged postgres.json stops the start with a sentence', async () => {
    const folder = await newFolder();
    for (const text of [
      '{}',
      'nonsense',
      JSON.stringify({ id: '0'.repeat(32), password: '0'.repeat(48), outside: '/etc' }),
    ]) {
      await writeFile(join(folder, 'postgres.json'), text);
      await assert.rejects(start(folder), (error) => hasCode(error, 'state'));
      await assert.rejects(removePrivatePostgres(folder), (error) => hasCode(error, 'state'));
    }
    await rm(join(folder, 'postgres.json'));
  });

  test('both stores open from the settings, close together, and can be removed', async () => {
    const folder = await newFolder();
    const settings = { FRESHET_DATA_DIR: folder, REDIS_KEY_PREFIX: '' };
    const stores = await openStores(settings, silentLogger);
    await stores.store.ping();
    await stores.database.ping();
    assert.match(stores.describe.store, /private (redis|valkey)-server|in process/);
    assert.match(stores.describe.database, /private PostgreSQL/);
    await stores.close();
    await stores.close();
    await assert.rejects(stores.store.ping(), (error) => hasCode(error, 'state'));
    await assert.rejects(stores.database.ping(), (error) => hasCode(error, 'state'));
    const away = { ...settings, DATABASE_URL: 'postgres://a:b@127.0.0.1:1/c' };
    await assert.rejects(openStores(away, silentLogger), (error) => hasCode(error, 'connection'));
    await removePrivateStores(folder);
    const place = await existingPlace(folder);
    assert.equal(place, null);
  });
});
