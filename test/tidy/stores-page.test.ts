/** docs/STORES.md has every key of Redis, every table of Postgres, every role and every limit, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Layout } from '../../publishing/layout.js';
import { readMigrations } from '../../publishing/migrations/migrate.js';
import { sinkName } from '../../runtime/stores/batch-plan.js';
import { checksumKey, partsKey, settingsKey, stagedKey } from '../../runtime/stores/versioned-keys.js';
import { projectRoot } from '../../schemas/project-root.js';
import { ALLOWED } from '../../serving/access/roles.js';
import * as limits from '../../serving/limits.js';
import { featureSet } from '../../topics/feature-set.js';

const page = readFileSync(join(projectRoot, 'docs/STORES.md'), 'utf8');
const VERSION = 7;
/** Stands for any id: letters, so that encoding does not change it. */
const ANY = 'ANYTHING';

/** `als:v7:user:ANYTHING` and `als:v<n>:user:<user>` are one kind of key: `als:v<n>:user:<>`. */
function kindOf(key: string): string {
  return key
    .replace(/^meta:(als|<artefact>):/, 'meta:<>:')
    .replaceAll(`v${VERSION}`, 'v<n>')
    .replaceAll(/ANYTHING|<(?!n>)[^>]*>/g, '<>');
}

/** Keys by each method of Layout: a new method is an error here until it has a line. */
function keysOfLayout(): Record<string, readonly string[]> {
  const layout = new Layout();
  const versioned = layout.versioned('als');
  const { plain } = layout.versioned('stopwords');
  const { popularityCategoryPrefix, affinityUserPrefix, interactionsUserPrefix, ...live } = layout.features(
    featureSet(VERSION),
  );
  return {
    currentVersion: [layout.currentVersion('als')],
    versionSequence: [layout.versionSequence('als')],
    versionSettings: [layout.versionSettings('als', VERSION)],
    versionIndex: [layout.versionIndex('als')],
    versioned: [
      ...[versioned.current, versioned.token, checksumKey(versioned, VERSION), settingsKey(versioned, VERSION)],
      partsKey(layout.versioned('stopwords'), VERSION)!,
      ...[`${plain!.prefix}${ANY}`, stagedKey(plain!, VERSION, ANY)],
    ],
    features: [
      ...Object.values(live).map((key) => (typeof key === 'string' ? key : key(ANY))),
      ...[popularityCategoryPrefix, affinityUserPrefix, interactionsUserPrefix].map((prefix) => prefix + ANY),
    ],
    erasedPrefix: [layout.erasedPrefix() + ANY],
    erased: [layout.erased(ANY)],
    deletedProducts: [layout.deletedProducts()],
    factorsUserPrefix: [layout.factorsUserPrefix(VERSION) + ANY],
    factorsUser: [layout.factorsUser(VERSION, ANY)],
  };
}

test('every kind of key is in docs/STORES.md, with a type, a meaning and an example', () => {
  const keys = keysOfLayout();
  const methods = Object.getOwnPropertyNames(Layout.prototype).filter((name) => name !== 'constructor');
  assert.deepEqual(Object.keys(keys).sort(), methods.sort(), 'the methods of Layout');
  const fence = `sink:${sinkName({ sink: ANY, topic: ANY, partition: 0 }).replace(/0$/, ANY)}`;
  const redis = page.slice(page.indexOf('\n## Redis'), page.indexOf('\n## Postgres'));
  const rows = [
    ...redis.matchAll(/^\| `([^`]+)` \| (?:string|hash|sorted set)(?:, JSON)? \| [^|]+ \| `[A-Z]+ [^`]+` \|$/gm),
  ];
  assert.deepEqual(
    rows.map((match) => kindOf(match[1]!)).sort(),
    [...new Set([...Object.values(keys).flat(), fence].map(kindOf))].sort(),
  );
});

test('every table and view is in docs/STORES.md', async () => {
  const sql = (await readMigrations()).map(({ up }) => up).join('\n');
  const created = [...sql.matchAll(/\bCREATE (?:OR REPLACE )?(?:TABLE|VIEW) (?!IF )(\w+)/g)];
  const names = new Set(created.map((match) => match[1]!));
  names.add('freshet_migrations');
  for (const table of Object.values(featureSet(VERSION).tables)) names.add(table.replace(`v${VERSION}`, 'v<n>'));
  assert.ok(names.size > 20, `${names.size} tables were found`);
  for (const name of names)
    assert.ok(
      new RegExp(`^### (\\w+ and )?${name}( and \\w+)?$`, 'm').test(page) ||
        page.includes(`\`${name}\`, which has the same columns`),
      `${name} has no section`,
    );
});

test('every role and every limit is in docs/STORES.md', () => {
  for (const [role, classes] of Object.entries(ALLOWED))
    assert.ok(page.includes(`| ${role} | ${[...classes].join(', ')} |`), role);
  const { REQUESTS_PER_MINUTE, ...others } = limits;
  const shown = (number: number) => number.toLocaleString('en');
  for (const [name, most] of Object.entries(REQUESTS_PER_MINUTE))
    assert.ok(page.includes(`| ${name} | ${shown(most)} |`), name);
  for (const [name, most] of Object.entries(others)) assert.ok(page.includes(`| \`${name}\` | ${shown(most)} |`), name);
  const documented = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1]!);
  assert.deepEqual(documented.sort(), Object.keys(others).sort());
});
