/** Written files can be read again, by us and by numpy; damaged ones are refused. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { type FactorRow, readFactors, writeFactors } from '../../../../../publishing/versions/artefacts/factor-file.js';
import { hasCode } from '../../../../../runtime/process/errors.js';

const run = promisify(execFile);

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-factors-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function write(path: string, rows: readonly { id: string; factors: readonly number[] }[], factors: number) {
  return writeFactors(path, {
    rows: rows.length,
    factors,
    idOf: (row) => Buffer.from(rows[row]!.id),
    copyFactors: (row, target, at) => target.set(rows[row]!.factors, at),
  });
}

async function read(path: string): Promise<FactorRow[]> {
  const rows: FactorRow[] = [];
  for await (const row of readFactors(path)) rows.push(row);
  return rows;
}

const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const byId = (a: { id: string }, b: { id: string }) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));

describe('a file of factors', () => {
  test('returns what was written, for any ids and factors', async (t) => {
    const folder = await folderOf(t);
    let number = 0;
    const table = fc.integer({ min: 1, max: 9 }).chain((factors) => {
      const row = fc.record({
        id: fc.string({ unit: 'binary', maxLength: 12 }),
        factors: fc.array(float, { minLength: factors, maxLength: factors }),
      });
      return fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: 20 }).map((rows) => ({ rows, factors }));
    });
    await fc.assert(
      fc.asyncProperty(table, async ({ rows, factors }) => {
        const path = join(folder, `${number++}`);
        rows.sort(byId);
        await write(path, rows, factors);
        const expected = rows.map(({ id, factors: values }) => ({ id, factors: Float32Array.from(values) }));
        assert.deepEqual(await read(path), expected);
      }),
      { numRuns: 60 },
    );
  });

  test('thousands of rows are read a block at a time', async (t) => {
    const path = join(await folderOf(t), 'many.bin');
    const rows = Array.from({ length: 5_000 }, (_, i) => ({
      id: `id-${String(i).padStart(5, '0')}`,
      factors: [i, -i, 0.5],
    }));
    await write(path, rows, 3);
    let next = 0;
    for await (const { id, factors } of readFactors(path)) {
      assert.equal(id, rows[next]!.id);
      assert.deepEqual([...factors], rows[next++]!.factors);
    }
    assert.equal(next, 5_000);
    // Stopping early leaves no file open.
    for await (const { id } of readFactors(path)) {
      assert.equal(id, 'id-00000');
      break;
    }
  });

  test('numpy reads it in three lines', async (t) => {
    const folder = await folderOf(t);
    const hasNumpy = await run('python3', ['-c', 'import numpy']).then(
      () => true,
      () => false,
    );
    if (!hasNumpy) {
      t.diagnostic('skipped: no python3 with numpy');
      return;
    }
    const path = join(folder, 'item_factors.bin');
    const rows = [
      { id: 'a', factors: [1, 2.5] },
      { id: 'bäh', factors: [-3, 1e-9] },
      { id: 'c', factors: [0, 7] },
    ];
    await write(path, rows, 2);
    const script = [
      'import json, struct, sys, numpy',
      "data = open(sys.argv[1], 'rb').read()",
      "rows, n, ids_at, at = struct.unpack_from('<IIQQ', data, 8)",
      "factors = numpy.frombuffer(data, '<f4', rows * n, at).reshape(rows, n)",
      "ends = numpy.frombuffer(data, '<u4', rows, 64)",
      'ids = [data[ids_at + a:ids_at + b].decode() for a, b in zip([0, *ends[:-1]], ends)]',
      'print(json.dumps([ids, factors.astype(float).tolist()]))',
    ].join('\n');
    const { stdout } = await run('python3', ['-c', script, path]);
    const expected = rows.map(({ factors }) => factors.map(Math.fround));
    assert.deepEqual(JSON.parse(stdout), [rows.map(({ id }) => id), expected]);
  });

  test('a truncated, extended or changed file is refused', async (t) => {
    const folder = await folderOf(t);
    const rows = ['a', 'b', 'c'].map((id, i) => ({ id, factors: [i, i + 1] }));
    const damage: [string, (path: string) => Promise<unknown>][] = [
      ['truncated to nothing', (path) => truncate(path, 0)],
      ['truncated by a byte', async (path) => truncate(path, (await readFile(path)).length - 1)],
      ['grown', (path) => writeFile(path, 'x', { flag: 'a' })],
      ['another beginning', (path) => put(path, 0, Buffer.from('X'))],
      ['more rows', (path) => put(path, 8, Buffer.from([4]))],
      ['no factors', (path) => put(path, 12, Buffer.from([0]))],
      ['ids that go back', (path) => put(path, 68, Buffer.from([0]))],
      ['ids beyond their place', (path) => put(path, 72, Buffer.from([0xff, 0xff]))],
      ['ids out of order', (path) => put(path, 76, Buffer.from('z'))],
      ['an id that is not UTF-8', (path) => put(path, 78, Buffer.from([0xff]))],
      ['a factor that is not a number', (path) => put(path, 128, Buffer.from([0, 0, 0xc0, 0x7f]))],
    ];
    for (const [what, harm] of damage) {
      const path = join(folder, what);
      await write(path, rows, 2);
      assert.equal((await read(path)).length, 3);
      await harm(path);
      await assert.rejects(read(path), (error) => hasCode(error, 'invalid_data'), what);
    }
  });
});

async function put(path: string, at: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}
