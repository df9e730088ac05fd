/** docs/STORES.md on a real Postgres: it has every column with its type, and its queries run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { projectRoot } from '../../schemas/project-root.js';
import { blocksOf } from '../support/documents.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const PAGE = 'docs/STORES.md';

describe(PAGE, () => {
  let service: Service;
  let database: Database;

  before(async () => {
    service = await startPostgres();
    database = await openPostgres({ url: service.url }, silentLogger);
    await migrateUp(database);
  });
  after(async () => {
    await database?.close();
    await service?.stop();
  });

  it('has every column with its type', async () => {
    const columns = await database.query<{ table: string; column: string; type: string }>(
      `SELECT table_name AS "table", column_name AS "column", udt_name AS "type" FROM information_schema.columns
       WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`,
    );
    const sections = sectionsOf(readFileSync(join(projectRoot, PAGE), 'utf8'));
    const wanted = new Map<string, Record<string, string>>();
    for (const { table, column, type } of columns) {
      // A version's table has the columns of its view.
      const named = table.replace(/_v\d+$/, '');
      const section = [...sections.keys()].find((title) => title.split(' and ').includes(named));
      assert.ok(section !== undefined, `${table} has no section`);
      wanted.set(section, { ...wanted.get(section), [column]: type.replace(/^_(.*)$/, '$1[]') });
    }
    for (const [title, found] of wanted) assert.deepEqual(sections.get(title), found, title);
  });

  it('has queries that run', async () => {
    const queries = await blocksOf(PAGE, 'sql');
    assert.ok(queries.length > 15, `${queries.length} queries were found`);
    for (const { text, line } of queries)
      await database.query(text).catch((error) => assert.fail(`${PAGE}:${line}: ${error}`));
  });
});

/** The sections with a table of columns: title → column → type. One row may name several columns, and their types. */
function sectionsOf(page: string): Map<string, Record<string, string>> {
  const sections = new Map<string, Record<string, string>>();
  for (const section of page.split(/^###? /m).slice(1)) {
    const columns: Record<string, string> = {};
    for (const [, names, types] of section.matchAll(/^\| (`[^|]+`) \| ([^|]+) \| [^|]*\|$/gm)) {
      const each = types!.split(', ');
      for (const [i, name] of names!.split(', ').entries()) columns[name.replaceAll('`', '')] = each[i] ?? each[0]!;
    }
    sections.set(section.slice(0, section.indexOf('\n')), columns);
  }
  return sections;
}
