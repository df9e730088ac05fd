/** The contract of every Postgres behind the database port (runtime/stores/database.ts), written once. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, FreshetError } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database, Queryable } from '../../runtime/stores/database.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';

const withCode = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof FreshetError, `expected a FreshetError, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return true;
};

/** Registers the suite under `name`. Tables are created, and dropped, under names of this run. */
export function databaseConformance(name: string, url: () => Promise<string>): void {
  describe(`database port: ${name}`, () => {
    const table = `conformance_${randomBytes(4).toString('hex')}`;
    let database: Database;

    before(async () => {
      database = await openPostgres({ url: await url() }, silentLogger);
      await database.execute(
        `CREATE TABLE ${table} (id text PRIMARY KEY, n int8, score float8, at timestamptz, data jsonb, UNIQUE (n) DEFERRABLE)`,
      );
    });
    after(async () => {
      await database.execute(`DROP TABLE IF EXISTS ${table}`);
      await database.close();
    });

    const ids = async (queryable: Queryable = database) =>
      (await queryable.query<{ id: string }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
    const empty = () => database.execute(`DELETE FROM ${table}`);

    test('values have the types that the port promises', async () => {
      const [row] =
        await database.query(`SELECT 9007199254740991::int8 AS int8, 0.1::float8 AS float8, 12.5::numeric AS numeric,
        '{"a": [1, null]}'::jsonb AS jsonb, '2024-02-29T12:00:00.123Z'::timestamptz AS timestamptz, true AS bool,
        DATE '2024-02-29' AS date, NULL::int8 AS nothing, ARRAY[1, NULL, 3]::int8[] AS int8s, ARRAY[0.5, NULL]::float8[] AS float8s,
        ARRAY['a', NULL]::text[] AS texts, '\\x00ff'::bytea AS bytea, ARRAY[1.5]::real[] AS reals`);
      assert.deepEqual(row, {
        int8: 9007199254740991,
        float8: 0.1,
        numeric: 12.5,
        jsonb: { a: [1, null] },
        timestamptz: new Date('2024-02-29T12:00:00.123Z'),
        bool: true,
        date: '2024-02-29',
        nothing: null,
        int8s: [1, null, 3],
        float8s: [0.5, null],
        texts: ['a', null],
        bytea: Buffer.from([0, 255]),
        reals: [1.5],
      });
    });

    test('parameters of every type, and as arrays for unnest', async () => {
      const at = new Date('2024-02-29T23:59:59.999Z');
      const [row] = await database.query(
        'SELECT $1::text AS t, $2::int8 AS n, $3::int8 AS big, $4::bool AS b, $5::timestamptz AS at, $6::bytea AS bytes, $7::text AS nothing, $8::jsonb AS data',
        ['日本 \'"\\', 1, 2n ** 53n - 1n, false, at, Buffer.from('é'), null, JSON.stringify({ a: 'ü' })],
      );
      assert.deepEqual(row, {
        t: '日本 \'"\\',
        n: 1,
        big: 2 ** 53 - 1,
        b: false,
        at,
        bytes: Buffer.from('é'),
        nothing: null,
        data: { a: 'ü' },
      });
      const texts = ['plain', '', 'NULL', '{a,b}', 'say "hi"', 'back\\slash', '日本', null];
      const rows = await database.query(
        `SELECT t, f, n, at, d::jsonb AS d FROM unnest($1::text[], $2::float8[], $3::int8[], $4::timestamptz[], $5::text[]) AS rows(t, f, n, at, d)`,
        [
          texts,
          texts.map((_, i) => (i === 7 ? null : i / 3)),
          texts.map((_, i) => (i === 6 ? null : i * 1e15)),
          texts.map((_, i) => (i === 5 ? null : at)),
          texts.map((text, i) => (i === 4 ? null : JSON.stringify({ text }))),
        ],
      );
      assert.deepEqual(
        rows,
        texts.map((t, i) => ({
          t,
          f: i === 7 ? null : i / 3,
          n: i === 6 ? null : i * 1e15,
          at: i === 5 ? null : at,
          d: i === 4 ? null : { text: t },
        })),
      );
      assert.deepEqual(await database.query('SELECT id FROM unnest($1::text[]) AS id', [[]]), []);
    });

    test('execute returns the number of rows; several statements in one text return the result of the last', async () => {
      assert.equal(await database.execute(`INSERT INTO ${table} (id) VALUES ('a'), ('b')`), 2);
      assert.equal(await database.execute(`UPDATE ${table} SET score = 1 WHERE id = $1`, ['never']), 0);
      assert.deepEqual(await database.query('SELECT 1 AS a; SELECT 2 AS b'), [{ b: 2 }]);
      assert.equal(await database.execute(`DELETE FROM ${table} WHERE id = 'a'; DELETE FROM ${table}`), 1);
    });

    test('a transaction is committed as a whole or not at all, and hidden until then', async () => {
      const result = await database.transaction(async (connection) => {
        await connection.execute(`INSERT INTO ${table} (id) VALUES ('a')`);
        assert.deepEqual(await ids(connection), ['a']);
        assert.deepEqual(await ids(), []);
        return 'kept';
      });
      assert.equal(result, 'kept');
      assert.deepEqual(await ids(), ['a']);
      const failure = new Error('on purpose');
      const failing = database.transaction(async (connection) => {
        await connection.execute(`INSERT INTO ${table} (id) VALUES ('b')`);
        throw failure;
      });
      await assert.rejects(failing, (error) => error === failure);
      assert.deepEqual(await ids(), ['a']);
      await empty();
    });

    test('a transaction that ignores a failed statement does not claim to be committed', async () => {
      const passing = database.transaction(async (connection) => {
        await connection.execute(`INSERT INTO ${table} (id) VALUES ('a')`);
        await connection.execute('SELECT 1 / 0').catch(() => undefined);
      });
      await assert.rejects(passing, withCode('state'));
      assert.deepEqual(await ids(), []);
    });

    test('an error at the commit fails the transaction', async () => {
      const late = database.transaction(async (connection) => {
        await connection.execute('SET CONSTRAINTS ALL DEFERRED');
        await connection.execute(`INSERT INTO ${table} (id, n) VALUES ('a', 1), ('b', 1)`);
      });
      await assert.rejects(late, withCode('invalid_data'));
      assert.deepEqual(await ids(), []);
    });

    test('a connection cannot be used after its transaction', async () => {
      const kept = await database.transaction(async (connection) => connection);
      await assert.rejects(kept.query('SELECT 1'), withCode('state'));
    });

    test('errors carry the codes of the closed list', async () => {
      await database.execute(`INSERT INTO ${table} (id) VALUES ('a')`);
      const cases: [ErrorCode, string, string[]?][] = [
        ['invalid_data', `INSERT INTO ${table} (id) VALUES ('a')`],
        ['invalid_data', `INSERT INTO ${table} (id) VALUES (NULL)`],
        ['invalid_data', 'SELECT $1::int8', ['x']],
        ['invalid_data', 'SELECT $1::text', ['a\u0000b']],
        ['schema', 'SELECT * FROM no_such_table'],
        ['schema', `SELECT no_such_column FROM ${table}`],
        ['internal', 'SELEC 1'],
      ];
      for (const [code, sql, parameters] of cases)
        await assert.rejects(database.query(sql, parameters), withCode(code), sql);
      await database.ping();
      await empty();
    });

    test('a deadlock fails one of the two with a transient error', async () => {
      await database.execute(`INSERT INTO ${table} (id, score) VALUES ('a', 0), ('b', 0)`);
      const touch = (id: string) => `UPDATE ${table} SET score = score + 1 WHERE id = '${id}'`;
      let arrived = 0;
      let open: () => void = () => undefined;
      const both = new Promise<void>((resolve) => {
        open = resolve;
      });
      const crossing = (first: string, second: string) =>
        database.transaction(async (connection) => {
          await connection.execute(touch(first));
          if (++arrived === 2) open();
          await both;
          await connection.execute(touch(second));
        });
      const ends = await Promise.allSettled([crossing('a', 'b'), crossing('b', 'a')]);
      const failed = ends.filter((end) => end.status === 'rejected');
      assert.equal(failed.length, 1);
      withCode('unavailable')(failed[0]!.reason);
      assert.ok((failed[0]!.reason as FreshetError).transient);
      await empty();
    });

    test('of many owners that expect the same offset, exactly one writes', async () => {
      await database.execute(`INSERT INTO ${table} (id, n) VALUES ('sink', 0)`);
      const gated = `WITH gate AS (UPDATE ${table} SET n = $2 WHERE id = 'sink' AND n = $1 RETURNING 1)
        INSERT INTO ${table} (id, score) SELECT row.id, row.score FROM unnest($3::text[], $4::float8[]) AS row(id, score), gate
        ON CONFLICT (id) DO UPDATE SET score = excluded.score`;
      const names = Array.from({ length: 5_000 }, (_, i) => `p${i}`);
      const write = (by: number) => database.execute(gated, [0, 1, names, names.map(() => by)]);
      const written = await Promise.all(Array.from({ length: 12 }, (_, by) => write(by)));
      assert.deepEqual(
        written.filter((count) => count > 0),
        [5_000],
      );
      const winner = written.indexOf(5_000);
      assert.deepEqual(await database.query(`SELECT DISTINCT score FROM ${table} WHERE id <> 'sink'`), [
        { score: winner },
      ]);
      await empty();
    });

    test('more callers than connections wait for their turn', async () => {
      const rows = await Promise.all(
        Array.from({ length: 40 }, (_, i) => database.query<{ i: number }>('SELECT $1::int8 AS i', [i])),
      );
      assert.deepEqual(
        rows.map(([row]) => row?.i),
        Array.from({ length: 40 }, (_, i) => i),
      );
    });
  });
}
