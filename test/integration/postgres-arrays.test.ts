/** Arrays in Postgres's binary format: every type, nulls, empty arrays, and values that would need quoting as text. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { arrayParameter, type ElementType, type ElementValue } from '../../runtime/stores/postgres/array-parameter.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const CASES: readonly (readonly [ElementType, readonly ElementValue[], (readonly unknown[])?])[] = [
  ['text', ['', 'a', '{"a,b"}', 'NULL', '\\', 'é😀', 'x'.repeat(10_000), null]],
  ['float8', [0, -0.5, 1e-300, Number.MAX_VALUE, null]],
  ['int4', [0, -1, 2 ** 31 - 1, -(2 ** 31)]],
  ['int8', [0, -1, 2 ** 40, -(2 ** 40), 2 ** 53 - 1, null]],
  ['bool', [true, false, null]],
  ['jsonb', ['{"a": [1, null]}', null], [{ a: [1, null] }, null]],
  [
    'jsonb',
    [
      { names: ['a', 'b"\\\n', 'é'], values: [1 / 3, 1e-9, 0.1] },
      { names: [], values: [] },
    ],
    [{ a: 1 / 3, 'b"\\\n': 1e-9, é: 0.1 }, {}],
  ],
];

describe('an array parameter', () => {
  let service: Service;
  let database: Database;

  before(async () => {
    service = await startPostgres();
    database = await openPostgres({ url: service.url, connectionsMax: 1 }, silentLogger);
  });
  after(async () => {
    await database?.close();
    await service?.stop();
  });

  for (const [type, values, expected = values] of CASES)
    for (const given of [values, []])
      test(`${given.length} of ${type}`, async () => {
        const parameter = arrayParameter(type, given, (value) => value);
        const rows = await database.query<{ value: unknown }>(`SELECT unnest($1::${type}[]) AS value`, [parameter]);
        assert.deepEqual(
          rows.map(({ value }) => value),
          given.length === 0 ? [] : expected,
        );
      });

  test('may not contain NUL: Postgres says so', async () => {
    const parameter = arrayParameter('text', ['a\0b'], (value) => value);
    await assert.rejects(database.query('SELECT $1::text[]', [parameter]), /22021/);
  });
});
