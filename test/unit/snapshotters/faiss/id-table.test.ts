/** Ids to positions and back, whatever the ids contain; a damaged table is refused. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../runtime/process/errors.js';
import { IdTable, IdTableWriter } from '../../../../snapshotters/faiss/id-table.js';

let folder: string;
let path: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faiss-ids-'));
  path = join(folder, 'ids.jsonl');
});
after(() => rm(folder, { recursive: true }));

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('every id is found at its position, and no other', async () => {
  const id = fc.oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }),
    fc.string({ minLength: 1 }),
    fc.constantFrom('a"b', 'a\\b', 'a\nb', '\u2028'),
  );
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(id, { maxLength: 50 }), fc.string({ minLength: 1 }), async (given, stranger) => {
      const ids = [...given].sort(byBytes);
      await rm(path, { force: true });
      const writer = await IdTableWriter.create(path);
      for (const one of ids) await writer.add(one);
      await writer.close();
      const table = await IdTable.read(path, ids.length);
      assert.equal(table.count, ids.length);
      for (const [position, one] of ids.entries()) {
        assert.equal(table.idAt(position), one);
        assert.equal(table.positionOf(one), position);
      }
      assert.equal(table.positionOf(stranger), ids.indexOf(stranger));
    }),
    { seed: 5, numRuns: 100 },
  );
});

test('ids already in memory are used as they are, but only if complete and in order', async () => {
  const bytes = Buffer.from('abbé');
  const table = await IdTable.of(bytes, Uint32Array.of(1, 5), 'here');
  assert.deepEqual([table.idAt(0), table.idAt(1), table.positionOf('bbé'), table.positionOf('b')], ['a', 'bbé', 1, -1]);
  for (const ends of [
    [2, 1],
    [1, 2, 3],
    [1, 6],
    [3, 3],
  ])
    await assert.rejects(
      IdTable.of(bytes, Uint32Array.from(ends), 'here'),
      (error: Error) =>
        hasCode(error, 'invalid_data') && /here is damaged: line \d is not in order/.test(error.message),
    );
});

test('a damaged table is refused with the reason', async () => {
  const refused = async (text: string, count: number, what: RegExp) => {
    await writeFile(path, text);
    await assert.rejects(
      IdTable.read(path, count),
      (error: Error) => hasCode(error, 'invalid_data') && what.test(error.message),
    );
  };
  await refused('"a"\n"b"\n', 3, /2 lines, not 3/);
  await refused('"a"\n"b"\n', 1, /more than 1 lines/);
  await refused('"a"\n"b"', 2, /does not end/);
  await refused('"b"\n"a"\n', 2, /line 1 is not in order/);
  await refused('"a"\n"a"\n', 2, /line 1 is not in order/);
  await refused('"a"\nb\n', 2, /not a JSON string/);
  await refused('"a\\q"\n', 1, /not a JSON string/);
});
