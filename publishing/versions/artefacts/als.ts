/**
 * A recommendation model in the stores: factors of users and of products as rows in Postgres, those of users as one
 * text each in the online store. Processes that search the products' factors read them from the folder.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { FreshetError } from '../../../runtime/process/errors.js';
import { checksumKey, settingsKey } from '../../../runtime/stores/versioned-keys.js';
import type { VersionName, VersionsPlace } from '../place.js';
import { StagingBatches } from '../staging.js';
import type { Contents } from './contents.js';
import type { FactorRow } from './factor-file.js';
import { ITEM_FACTORS_FILE, readFactors, USER_FACTORS_FILE } from './factor-file.js';
import { deleteRows, digestOf, digestOfTable, type FactorTable, pagesOfTable, writeRows } from './factor-rows.js';
import { factorsText } from './factors-text.js';

const TABLES: readonly (readonly [table: FactorTable, file: string])[] = [
  ['als_user_factors', USER_FACTORS_FILE],
  ['als_item_factors', ITEM_FACTORS_FILE],
];
/** A batch blocks all other clients of Redis: 500 texts of 64 factors take it about a millisecond. */
const ROWS_PER_BATCH = 500;

export const als: Contents = {
  async stageRows(place, version, manifest) {
    const { artifacts, database } = place;
    const digests: string[] = [];
    for (const [table, file] of TABLES) {
      if (!manifest.files.some(({ name }) => name === file))
        throw new FreshetError('invalid_data', `The manifest names no ${file}.`);
      await deleteRows(database, version.version, table);
      const rows = readFactors(join(artifacts.folder('als', version.version), file));
      const digest = await writeRows(place, version, table, rows);
      if ((await digestOfTable(database, version.version, table)) !== digest)
        throw differs(version, `${table} in Postgres holds different rows from ${file}`);
      digests.push(digest);
    }
    return checksumOf(digests);
  },

  async stageKeys(place, version, checksum) {
    const { layout, database } = place;
    const { version: number } = version;
    const keys = layout.versioned('als');
    const batches = await StagingBatches.open(place, version);
    await batches.send([
      { op: 'hset', key: layout.versionIndex('als'), field: String(number), value: checksum },
      { op: 'del', key: checksumKey(keys, number) },
    ]);
    const users = createHash('sha256');
    let sent: FactorRow[] = [];
    for await (const page of pagesOfTable(database, number, 'als_user_factors')) {
      users.update(digestOf(page));
      for (let from = 0; from < page.length; from += ROWS_PER_BATCH) {
        const rows = page.slice(from, from + ROWS_PER_BATCH);
        await batches.send(
          rows.map(({ id, factors }) => ({
            op: 'set',
            key: layout.factorsUser(number, id),
            value: factorsText(factors),
          })),
        );
      }
      // The second batch of a page is sent once the last batch of the previous page is applied.
      if (page.length <= ROWS_PER_BATCH) await batches.finish();
      await readBack(place, version, sent);
      sent = page;
    }
    await batches.finish();
    await readBack(place, version, sent);
    const items = await digestOfTable(database, number, 'als_item_factors');
    if (checksumOf([users.digest('hex'), items]) !== checksum)
      throw differs(version, 'Postgres holds different factors from those published');
    await batches.send([{ op: 'set', key: checksumKey(keys, number), value: checksum }]);
    await batches.finish();
  },

  async removeRows({ database }, { version }) {
    for (const [table] of TABLES) await deleteRows(database, version, table);
  },

  async *keysOf({ layout, store }, { version }) {
    const keys = layout.versioned('als');
    yield [checksumKey(keys, version), settingsKey(keys, version)];
    yield* store.keyPages(layout.factorsUserPrefix(version));
  },
};

/** Throws FreshetError('invalid_data') for the first text that differs from what was sent. */
async function readBack(
  { layout, store }: VersionsPlace,
  version: VersionName,
  rows: readonly FactorRow[],
): Promise<void> {
  const held = await Promise.all(rows.map(({ id }) => store.get(layout.factorsUser(version.version, id))));
  for (const [i, { id, factors }] of rows.entries())
    if (held[i] !== factorsText(factors))
      throw differs(version, `the online store and Postgres hold different factors of user ${JSON.stringify(id)}`);
}

function checksumOf(digests: readonly string[]): string {
  return createHash('sha256').update(digests.join('\n')).digest('hex');
}

function differs({ version }: VersionName, how: string): FreshetError {
  return new FreshetError('invalid_data', `Version ${version} of als cannot be used: ${how}.`);
}
