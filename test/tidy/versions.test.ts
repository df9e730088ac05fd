/** Which versions run is said in one place, and what carries the number of a version is named in topics/ alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceFiles } from './source-files.js';

const files = sourceFiles();

/** Names of versions of artefacts, which are no versions of an application. */
const NAMES_OF_ARTEFACTS: ReadonlySet<string> = new Set(['publishing/layout.ts', 'publishing/versions/staging.ts']);

test('no name of an application or of its topics, keys, tables is put together outside topics/', () => {
  for (const { path, text } of files.filter(({ path }) => !path.startsWith('topics/'))) {
    const written = /'(features|corpus|embeddings|popularity|affinity|interactions)[.:]v\d/.exec(text)?.[0];
    const made = NAMES_OF_ARTEFACTS.has(path) ? undefined : /[.:_]v\$\{/.exec(text)?.[0];
    assert.ok(written === undefined && made === undefined, `${path} holds ${written ?? made}: ask the version's set`);
  }
});

test('the number of a version that runs stands in topics/running.ts alone', () => {
  const numbered = files.filter(({ text }) => /\b(feature|corpus|embeddings)Set\(\d/.test(text));
  assert.deepEqual(
    numbered.map(({ path }) => path),
    ['topics/running.ts'],
  );
});
