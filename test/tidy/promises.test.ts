/** docs/INVARIANTS.md and the tests agree on who holds which promise. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../schemas/project-root.js';
import { type SourceFile, sourceFiles } from './source-files.js';

const ID = /\bI\d+\b/g;
const table = readFileSync(join(projectRoot, 'docs/INVARIANTS.md'), 'utf8');
const promises = [...table.matchAll(/^\| (I\d+) \|.*\| (.*) \|$/gm)].map((row) => ({
  id: row[1]!,
  heldBy: [...row[2]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!),
}));
const files = sourceFiles(['test']);

test('every test file that a promise lists names it', () => {
  assert.ok(promises.length > 30);
  const named = new Map(files.map((file) => [file.path, idsOf(file)]));
  for (const { id, heldBy } of promises) {
    assert.ok(heldBy.length > 0, `nothing holds ${id}`);
    for (const path of heldBy) {
      assert.match(path, /\.test\.ts$/);
      assert.ok(named.has(path), `${id} lists ${path}, which does not exist`);
      assert.ok(named.get(path)!.has(id), `${path} is listed for ${id} and names it in no test and not at its top`);
    }
  }
});

test('every promise that a test names exists and lists its file', () => {
  for (const file of files)
    for (const id of idsOf(file)) {
      const promise = promises.find((one) => one.id === id);
      assert.ok(promise, `${file.path} names ${id}, which docs/INVARIANTS.md does not know`);
      // A suite is listed by the files that run it.
      if (!file.path.endsWith('.test.ts')) continue;
      assert.ok(promise.heldBy.includes(file.path), `${file.path} names ${id}, which does not list it`);
    }
});

/** Ids in the names of tests and in the comment at the top. */
function idsOf({ text }: SourceFile): Set<string> {
  const top = /^\/\*\*.*?\*\//s.exec(text)?.[0] ?? '';
  const names = [...text.matchAll(/\b(?:test|it|describe|using)\(\s*(['"`])(.*?)\1/gs)].map((match) => match[2]!);
  return new Set([top, ...names].flatMap((words) => words.match(ID) ?? []));
}
