/** Migrations on a real Postgres: up, down, at once from several processes, and refused when edited. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Migration, migrateDown, migrateUp, readMigrations } from '../../publishing/migrations/migrate.js';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

function migration(number: number, up: string, down = ''): Migration {
  return { number, name: `step_${number}`, up, down, checksum: createHash('sha256').update(up).digest('hex') };
}

const ONE = migration(1, 'CREATE TABLE one (a integer); INSERT INTO one VALUES (1);', 'DROP TABLE one;');
const TWO = migration(2, 'CREATE TABLE two (b integer);', 'DROP TABLE two;');

describe('migrations', () => {
  let service: Service;
  let database: Database;

  before(async () => {
    service = await startPostgres();
    database = await openPostgres({ url: service.url }, silentLogger);
  });
  after(async () => {
    await database?.close();
    await service?.stop();
  });
  beforeEach(async () => {
    await database.execute('DROP SCHEMA public CASCADE');
    await database.execute('CREATE SCHEMA public');
  });

  async function relations(): Promise<string[]> {
    const rows = await database.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
       AND relname <> 'freshet_migrations' ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  }

  test('create all published tables and views, and remove them', async () => {
    const done = await migrateUp(database);
    assert.deepEqual(
      done,
      (await readMigrations()).map(({ number, name }) => `${String(number).padStart(4, '0')}_${name}`),
    );
    const made = await relations();
    assert.deepEqual(made, [
      ...['als_item_factors', 'als_user_factors', 'catalogue', 'dead_letters', 'erased_subjects', 'faiss_indexes'],
      ...['job_leases', 'job_runs', 'product_popularity', 'product_popularity_v1', 'products', 'run_outbox'],
      ...[
        'run_topics',
        'sink_offsets',
        'stopwords',
        'user_affinity',
        'user_affinity_v1',
        'user_category_affinity',
        'users',
        'version_heads',
      ],
      ...['version_pins', 'versions'],
    ]);
    assert.deepEqual(await migrateUp(database), []);
    // Tables of later versions are removed too.
    await database.query('SELECT create_live_tables(2)');
    await migrateDown(database, 0);
    assert.deepEqual(await relations(), []);
    assert.deepEqual(await migrateUp(database), done);
    assert.deepEqual(await relations(), made);
  });

  test('carry the versions of the live features over into the heads', async () => {
    const all = await readMigrations();
    await migrateUp(database, undefined, all.slice(0, 3));
    await database.execute(`INSERT INTO versions (artefact, version, state, manifest, timeline, seq, epoch, created_at)
      VALUES ('affinity', 1, 'retired', '{}', 1, 1, 1, now()), ('affinity', 2, 'current', '{}', 1, 4, 1, now()),
             ('affinity', 3, 'staged', '{}', 1, 0, 1, now()), ('popularity', 1, 'current', '{}', 1, 1, 1, now())`);
    await migrateUp(database, undefined, all.slice(0, 4));
    const rest = { timeline: 1, epoch: 1, previous: null, pinned: null };
    assert.deepEqual(await database.query('SELECT * FROM version_heads ORDER BY 1'), [
      { artefact: 'affinity', seq: 4, current: 2, last_version: 3, ...rest },
      { artefact: 'popularity', seq: 1, current: 1, last_version: 1, ...rest },
    ]);
    await migrateDown(database, 3, undefined, all.slice(0, 4));
    assert.equal((await database.query('SELECT 1 AS one FROM versions')).length, 4);
  });

  test('carry runs over into the queue and the outbox, and back', async () => {
    const all = await readMigrations();
    await migrateUp(database, undefined, all.slice(0, 6));
    const [older, newer] = ["'2025-06-01T02:00:00Z'", "'2025-06-02T02:00:00Z'"];
    await database.execute(`INSERT INTO job_runs (run_id, job_name, status, attempt, deaths, dry_run, requested_at,
        requested_by, finished_at, built, epoch, told)
      VALUES ('d', 'als', 'queued', 0, 0, false, ${newer}, 'api', NULL, NULL, 0, false),
        ('c', 'als', 'running', 1, 0, false, ${older}, 'api', NULL, '{"folder": "x"}', 3, false),
        ('b', 'als', 'failed', 1, 0, false, ${older}, 'api', ${newer}, NULL, 2, false),
        ('a', 'als', 'succeeded', 1, 0, false, ${older}, 'api', ${older}, NULL, 1, true)`);
    await migrateUp(database, undefined, all.slice(0, 7));
    const queued = 'SELECT run_id, kept FROM job_runs WHERE finished_at IS NULL ORDER BY queue_order';
    assert.deepEqual(await database.query(queued), [
      { run_id: 'c', kept: { folder: 'x' } },
      { run_id: 'd', kept: null },
    ]);
    assert.deepEqual(await database.query('SELECT run_id FROM run_outbox'), [{ run_id: 'b' }]);
    await database.execute(`INSERT INTO job_runs (run_id, job_name, status, attempt, deaths, dry_run, requested_at,
        requested_by, epoch) VALUES ('0', 'als', 'queued', 0, 0, false, ${older}, 'api', 0)`);
    assert.deepEqual((await database.query(queued)).at(-1), { run_id: '0', kept: null });
    await migrateDown(database, 6, undefined, all.slice(0, 7));
    assert.deepEqual(await database.query('SELECT run_id, told FROM job_runs ORDER BY 1'), [
      { run_id: '0', told: false },
      { run_id: 'a', told: true },
      { run_id: 'b', told: false },
      { run_id: 'c', told: false },
      { run_id: 'd', told: false },
    ]);
  });

  test('give the narrow tables room on each page and no index on what changes', async () => {
    await migrateUp(database);
    for (const table of ['product_popularity_v1', 'user_affinity_v1', 'sink_offsets']) {
      const [row] = await database.query<{ options: string[] }>(
        'SELECT reloptions AS options FROM pg_class WHERE relname = $1',
        [table],
      );
      assert.deepEqual(row?.options, ['fillfactor=60'], table);
      const indexes = await database.query('SELECT 1 AS one FROM pg_indexes WHERE tablename = $1', [table]);
      assert.equal(indexes.length, 1, table);
    }
  });

  test('go down to a number and up again', async () => {
    await migrateUp(database, undefined, [ONE, TWO]);
    assert.deepEqual(await migrateDown(database, 1, undefined, [ONE, TWO]), ['0002_step_2']);
    assert.deepEqual(await relations(), ['one']);
    assert.deepEqual(await migrateUp(database, undefined, [ONE, TWO]), ['0002_step_2']);
  });

  test('are applied once by processes that start together', async () => {
    const steps = [ONE, TWO];
    const done = await Promise.all(Array.from({ length: 6 }, () => migrateUp(database, undefined, steps)));
    assert.deepEqual(done.flat().sort(), ['0001_step_1', '0002_step_2']);
    assert.equal((await database.query('SELECT a FROM one')).length, 1);
  });

  test('are refused if an applied one was edited, before anything else happens', async () => {
    await migrateUp(database, undefined, [ONE]);
    const edited = { ...ONE, checksum: 'other' };
    const refused = (error: unknown) => hasCode(error, 'state') && /0001_step_1 has changed/.test(String(error));
    await assert.rejects(migrateUp(database, undefined, [edited, TWO]), refused);
    await assert.rejects(migrateDown(database, 0, undefined, [edited]), refused);
    assert.deepEqual(await relations(), ['one']);
  });

  test('leave nothing behind if one fails in the middle', async () => {
    const broken = migration(2, 'CREATE TABLE two (b integer); SELECT 1 / 0;');
    await assert.rejects(migrateUp(database, undefined, [ONE, broken]), /division by zero/);
    assert.deepEqual(await relations(), ['one']);
    assert.deepEqual(await migrateUp(database, undefined, [ONE, TWO]), ['0002_step_2']);
  });

  test('from a newer release are left alone on the way up and refused on the way down', async () => {
    await migrateUp(database, undefined, [ONE, TWO]);
    assert.deepEqual(await migrateUp(database, undefined, [ONE]), []);
    await assert.rejects(migrateDown(database, 0, undefined, [ONE]), /newer release/);
  });
});
