/** House rules that a reader would otherwise have to remember. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../schemas/project-root.js';
import { sourceFiles } from './source-files.js';

const source = sourceFiles();
const tests = sourceFiles(['test']);

test('types are not given up', () => {
  for (const { path, text } of [...source, ...tests])
    assert.doesNotMatch(text, /\bas any\)|@ts-(ignore|nocheck|expect-error)/, `${path} gives up a type`);
});

test('no test is switched off or narrowed, none sleeps', () => {
  for (const { path, text } of tests) {
    if (path.startsWith('test/tidy/')) continue;
    assert.doesNotMatch(text, /\b(test|it|describe|suite)\.(only|todo|skip)\(/, `${path} switches tests off`);
    assert.doesNotMatch(text, /\bsleep\(\d{3,}\)/, `${path} sleeps instead of awaiting a signal`);
  }
});

test('time comes from the clock port wherever state depends on it', () => {
  for (const { path, text } of sourceFiles(['processors'])) assert.doesNotMatch(text, /Date\.now\(|new Date\(\)/, path);
});

test('no folder or file is named after nothing', () => {
  for (const { path } of [...source, ...tests])
    assert.doesNotMatch(path, /(^|\/)(util|utils|common|helper|helpers|misc|core|lib)(\/|\.)/, path);
});

test('every source folder is in the file map of docs/ARCHITECTURE.md', () => {
  const map = readFileSync(join(projectRoot, 'docs/ARCHITECTURE.md'), 'utf8');
  const folders = new Set(source.map(({ path }) => path.slice(0, path.lastIndexOf('/'))));
  for (const folder of folders) assert.ok(map.includes(`\`${folder}/`), `${folder}/ is missing from the file map`);
});
