/** Errors that a caller gets when Postgres is down, slow, or ends a connection. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, FreshetError, isTransient } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { openPostgres, postgresAddress } from '../../runtime/stores/postgres/postgres.js';
import { freePort } from '../../runtime/stores/private-server.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const withCode = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof FreshetError, `expected a FreshetError, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return true;
};

describe('faults of Postgres', () => {
  let service: Service;
  let database: Database;
  /** Another pool, used to end connections of the first. */
  let other: Database;

  before(async () => {
    service = await startPostgres();
    database = await openPostgres({ url: service.url, connectionsMax: 2, statementMsMax: 1_500 }, silentLogger);
    other = await openPostgres({ url: service.url, connectionsMax: 1 }, silentLogger);
  });
  after(async () => {
    await database.close();
    await other.close();
    await service.stop();
  });

  const pidOf = async (queryable: Pick<Database, 'query'>) =>
    (await queryable.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid;

  test('addresses, passwords and databases that cannot work', async () => {
    for (const url of ['http://localhost/x', 'nonsense'])
      await assert.rejects(openPostgres({ url }, silentLogger), withCode('settings'), url);
    const away = new URL(service.url);
    away.port = String(await freePort());
    away.hostname = '127.0.0.1';
    await assert.rejects(openPostgres({ url: away.href }, silentLogger), withCode('connection'));
    const missing = new URL(service.url);
    missing.pathname = '/no_such_database';
    await assert.rejects(openPostgres({ url: missing.href }, silentLogger), withCode('settings'));
    const wrong = new URL(service.url);
    wrong.username = 'nobody_we_know';
    wrong.password = 'secret';
    await assert.rejects(openPostgres({ url: wrong.href }, silentLogger), (error: unknown) => {
      assert.ok(error instanceof FreshetError && !error.message.includes('secret'));
      return error.code === 'access';
    });
    assert.ok(!postgresAddress({ url: wrong.href }).includes('secret'));
  });

  test('the server ends a statement that takes too long, and the connection stays usable', async () => {
    await assert.rejects(database.query('SELECT pg_sleep(30)'), withCode('timeout'));
    await database.ping();
  });

  test('a server that does not answer at all is abandoned a little later', async () => {
    // The server ends its own statements in time: one that is allowed to run stands for a server that hangs.
    const hanging = database.transaction(async (connection) => {
      await connection.execute('SET LOCAL statement_timeout = 0');
      await connection.query('SELECT pg_sleep(10)');
    });
    await assert.rejects(hanging, withCode('timeout'));
    await database.ping();
  });

  test('an idle connection that the server ends causes no error', async () => {
    const pid = await pidOf(database);
    await other.query('SELECT pg_terminate_backend($1::int, 5000)', [pid]);
    const next = await pidOf(database);
    assert.notEqual(next, pid);
  });

  test('a connection that ends within a transaction is a transient error, and nothing is committed', async () => {
    await database.execute('CREATE TABLE IF NOT EXISTS fault (id text)');
    for (const between of [true, false]) {
      const cut = database.transaction(async (connection) => {
        await connection.execute("INSERT INTO fault VALUES ('lost')");
        const pid = await pidOf(connection);
        const end = () => other.query('SELECT pg_terminate_backend($1::int, 5000)', [pid]);
        if (between) await end();
        else await Promise.all([connection.query('SELECT pg_sleep(0.4)'), end()]);
      });
      await assert.rejects(cut, isTransient);
      assert.deepEqual(await database.query('SELECT * FROM fault'), []);
    }
  });

  test('callers that get no connection in time get an error', async () => {
    const busy = await openPostgres({ url: service.url, connectionsMax: 1, connectMsMax: 1_000 }, silentLogger);
    try {
      await busy.transaction(async () => {
        await assert.rejects(busy.ping(), withCode('timeout'));
      });
      await busy.ping();
    } finally {
      await busy.close();
    }
  });

  test('a closed pool says so; closing twice is harmless', async () => {
    const closed = await openPostgres({ url: service.url }, silentLogger);
    await closed.close();
    await closed.close();
    await assert.rejects(closed.ping(), withCode('state'));
  });
});
