import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { readMigrations } from '../../../../publishing/migrations/migrate.js';

async function folderWith(t: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-migrations-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

describe('migrations', () => {
  test('of the project are numbered without a gap, each with a down file', async () => {
    const migrations = await readMigrations();
    assert.ok(migrations.length > 0);
    assert.deepEqual(
      migrations.map(({ number }) => number),
      migrations.map((_, i) => i + 1),
    );
    for (const { up, down } of migrations) assert.ok(up.trim().length > 0 && down.trim().length > 0);
  });

  test('have the same checksum whatever the line ends of a checkout', async (t) => {
    const unix = await folderWith(t, { '0001_a.up.sql': 'one\ntwo\n', '0001_a.down.sql': '' });
    const other = await folderWith(t, { '0001_a.up.sql': 'one\r\ntwo\r\n', '0001_a.down.sql': '' });
    const edited = await folderWith(t, { '0001_a.up.sql': 'one\ntwo ', '0001_a.down.sql': '' });
    const checksum = async (folder: string) => (await readMigrations(folder))[0]?.checksum;
    assert.equal(await checksum(unix), await checksum(other));
    assert.notEqual(await checksum(unix), await checksum(edited));
  });

  test('are refused with a gap, a duplicate number, a lone file, an unrelated file', async (t) => {
    const refused = async (files: string[], why: RegExp) => {
      const folder = await folderWith(t, Object.fromEntries(files.map((file) => [file, ''])));
      await assert.rejects(readMigrations(folder), why);
    };
    await refused(['0002_a.up.sql', '0002_a.down.sql'], /expected number 1/);
    await refused(['0001_a.up.sql', '0001_a.down.sql', '0001_b.up.sql', '0001_b.down.sql'], /expected number 2/);
    await refused(['0001_a.up.sql'], /no 0001_a.down.sql/);
    await refused(['0001_a.down.sql'], /no up file/);
    await refused(['1_a.sql'], /not a migration/);
  });
});
