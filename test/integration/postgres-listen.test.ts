/** Notifications of Postgres: what is heard, and what is said when some may have been missed. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { CutProxy } from '../support/proxy.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const CHANNEL = 'Freshet "test"';

describe('a listener', () => {
  let service: Service;
  let database: Database;
  let other: Database;
  let heard: (string | null)[];
  const events = new Events();

  before(async () => {
    service = await startPostgres();
    database = await openPostgres({ url: service.url }, silentLogger);
    other = await openPostgres({ url: service.url, connectionsMax: 1 }, silentLogger);
  });
  after(async () => {
    await database.close();
    await other.close();
    await service.stop();
  });
  beforeEach(() => {
    heard = [];
  });

  const listen = (on: Database) =>
    on.listen(CHANNEL, (payload) => {
      heard.push(payload);
      events.happened();
    });
  const notify = (payload: string) => other.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]);
  const holds = (what: string, expected: readonly (string | null)[]) =>
    events.until(what, () => heard.length >= expected.length).then(() => assert.deepEqual(heard, expected));
  const listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database()";

  test('hears that it listens, then every payload in order, until it is closed', async () => {
    const listener = listen(database);
    await holds('the connection', [null]);
    for (const payload of ['one', '', 'three']) await notify(payload);
    await holds('all of them', [null, 'one', '', 'three']);
    await listener.close();
    await notify('four');
    await listener.close();
    assert.deepEqual(await other.query(listening), []);
    assert.equal(heard.length, 4);
  });

  test('whose connection is lost listens again, and says that it may have missed some', async () => {
    const listener = listen(database);
    await holds('the connection', [null]);
    const ended = await other.query(`SELECT pg_terminate_backend(pid, 5000) FROM (${listening}) AS listening`);
    assert.equal(ended.length, 1);
    await notify('unheard');
    await holds('another connection', [null, null]);
    await notify('heard');
    await holds('what came later', [null, null, 'heard']);
    await listener.close();
  });

  test('tries again as long as the server cannot be reached, and says so once', async (t) => {
    const url = new URL(service.url);
    const proxy = await CutProxy.to({ host: url.hostname, port: Number(url.port) });
    const lost: unknown[] = [];
    const logger = { ...silentLogger, warn: (said: unknown) => lost.push(said) } as unknown as typeof silentLogger;
    const own = await openPostgres({ url: proxy.through(service.url) }, logger);
    t.after(async () => {
      await own.close();
      await proxy.close();
    });
    let refused = 0;
    proxy.onRefused = () => {
      refused++;
      events.happened();
    };
    listen(own);
    await holds('the connection', [null]);
    lost.length = 0;
    proxy.down();
    await events.until('a second attempt', () => refused >= 2);
    // One of the listener, one of the connection that waits in the pool.
    assert.equal(lost.length, 2);
    proxy.up();
    await holds('another connection', [null, null]);
    await notify('heard');
    await holds('what came later', [null, null, 'heard']);
  });

  test('ends with its database', async () => {
    const own = await openPostgres({ url: service.url }, silentLogger);
    listen(own);
    await holds('the connection', [null]);
    await own.close();
    assert.deepEqual(await other.query(listening), []);
    assert.throws(
      () => listen(own),
      (error) => hasCode(error, 'state'),
    );
  });
});
