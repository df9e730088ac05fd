/**
 * Nothing is exported without a reader. A reader is another file, test or example that imports the file and names what
 * is exported; what only tests read must be used in its own file as well, or it is code that only tests keep alive.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importedFiles, loadedFiles, type SourceFile, sourceFiles } from './source-files.js';

/** What the packages give to other code (package.json, "exports"; scripts/client.mjs). */
const PACKAGE = ['exports/index.ts', 'exports/testing.ts', 'exports/client.ts'];
/** Only tests use them, on purpose. */
const ONLY_FOR_TESTS: Readonly<Record<string, string>> = {
  takeFaultPoints: 'tests break the process at named points',
  migrateDown: 'every migration can be taken back, but no release does it by itself',
};
const source = sourceFiles();
const importers = importersOf([...source, ...sourceFiles(['test', 'examples'])]);
const loaded = new Set(source.flatMap(loadedFiles));

test('nothing is exported without a reader', () => {
  for (const file of source) {
    if (PACKAGE.includes(file.path) || loaded.has(file.path)) continue;
    for (const name of exportsOf(file.text)) {
      const readers = (importers.get(file.path) ?? []).filter(({ text }) => timesNamed(name, text) > 0);
      assert.ok(readers.length > 0, `${file.path}: nothing imports ${name}; take away "export", or the code`);
      if (readers.some(({ path }) => !/^(test|examples)\//.test(path)) || name in ONLY_FOR_TESTS) continue;
      assert.ok(timesNamed(name, file.text) > 1, `${file.path}: only tests use ${name}; move it to them, or delete it`);
    }
  }
});

test('what is exported for tests alone is there, and is for tests alone', () => {
  const names = source.flatMap(({ text }) => exportsOf(text));
  for (const name of Object.keys(ONLY_FOR_TESTS)) {
    assert.ok(names.includes(name), `${name} is not exported`);
    assert.equal(
      source.filter(({ text }) => timesNamed(name, text) > 0).length,
      1,
      `${name} is used by more than tests`,
    );
  }
});

/** The files that import a file. */
function importersOf(files: readonly SourceFile[]): Map<string, SourceFile[]> {
  const found = new Map<string, SourceFile[]>();
  for (const file of files)
    for (const target of new Set(importedFiles(file))) found.set(target, [...(found.get(target) ?? []), file]);
  return found;
}

/** Exports begin a line; `export *` and `export default` would hide what is read. */
function exportsOf(text: string): string[] {
  assert.doesNotMatch(text, /^export (\*|default)/m);
  const declared = text.matchAll(
    /^export (?:abstract |async |declare )*(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm,
  );
  const listed = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((match) => match[1]!.split(','));
  const names = listed.map((entry) => entry.trim().replace(/^type /, '')).filter((name) => name !== '');
  return [...[...declared].map((match) => match[1]!), ...names.map((name) => name.split(' as ').at(-1)!)];
}

function timesNamed(name: string, text: string): number {
  return [...text.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length;
}
