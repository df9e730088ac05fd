/** What documents and comments name exists: files, classes and functions, codes of errors. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../schemas/project-root.js';
import { LAYERS } from './rooms.js';
import { type SourceFile, sourceFiles } from './source-files.js';

/** Of other software, or no single file. */
const FOREIGN_FILES = ['NNNN_name.up.sql', 'dist/index.js'];
/** Of other software. */
const FOREIGN_NAMES = [
  ...['AlterConfigs', 'BigCrush', 'DevTools', 'FastGelu', 'MessagePack', 'MurmurHash2', 'PractRand', 'PyTorch'],
  ...['TfidfTransformer', 'ZooKeeper', 'efConstruction', 'removeAllListeners'],
];
const COMMENT = /\/\*.*?\*\/|(?<=^|\s)\/\/[^\n]*/gms;

const sources = sourceFiles([...LAYERS, 'test', 'examples']);
const documents = [...filesBelow('docs', /\.md$/), 'README.md', 'CONTRIBUTING.md'].map((path) => ({
  path,
  text: readFileSync(join(projectRoot, path), 'utf8').replace(/^```.*?^```/gms, ''),
}));
const comments = sources.map(({ path, text }) => ({ path, text: (text.match(COMMENT) ?? []).join('\n') }));

test('every file that a document or a comment names exists', () => {
  const folders = [...LAYERS, 'test', 'examples', 'scripts', 'docs', 'deploy'];
  const paths = [...folders.flatMap((folder) => filesBelow(folder, /./)), ...filesBelow('', /./, false)];
  const exists = (name: string) => paths.some((path) => path === name || path.endsWith(`/${name}`));
  for (const { path, text } of [...documents, ...comments])
    for (const [name] of text.matchAll(
      /(?<![\w/.@-])(?:[\w.-]+\/)*[\w-][\w.-]*\.(?:ts|mjs|js|sql|md|py|avsc|as)\b(?![\w/])/g,
    )) {
      // Compiled from a source that says the same name.
      const asSource = name.replace(/^dist\//, '').replace(/\.js$/, '.ts');
      assert.ok(FOREIGN_FILES.includes(name) || exists(name) || exists(asSource), `${path} names ${name}`);
    }
});

test('every class and function that a document or a comment names is in the code', () => {
  const code = [
    ...sources.map(({ text }) => text.replace(COMMENT, ' ')),
    ...filesBelow('schemas', /\.avsc$/).map((path) => readFileSync(join(projectRoot, path), 'utf8')),
    ...[...filesBelow('publishing', /\.sql$/), 'package.json', 'docker-compose.yml', ...filesBelow('deploy', /./)].map(
      (path) => readFileSync(join(projectRoot, path), 'utf8'),
    ),
    ...[...filesBelow('scripts', /\.mjs$/), ...filesBelow('examples', /\.py$/)].map((path) =>
      readFileSync(join(projectRoot, path), 'utf8'),
    ),
  ];
  const words = new Set([...FOREIGN_NAMES, ...code.flatMap((text) => text.match(/[A-Za-z_$][\w$]*/g) ?? [])]);
  /** Words with a capital inside, or with () behind. */
  const inComments = /\b(?:[A-Za-z][a-z0-9]+(?:[A-Z][a-z0-9]+)+\b|[a-z]\w+(?=\(\)))/g;
  for (const { path, text } of comments)
    for (const [name] of text.matchAll(inComments)) assert.ok(words.has(name), `${path} names ${name} in a comment`);
  for (const { path, text } of documents)
    for (const [, quoted] of text.matchAll(/`([A-Za-z_][\w.]*)(?:\(\))?`/g))
      for (const name of quoted!.split('.')) assert.ok(name === '' || words.has(name), `${path} names ${quoted}`);
});

test('every error that a comment promises has a code that there is', () => {
  const list = readFileSync(join(projectRoot, 'runtime/process/errors.ts'), 'utf8').split('const TRANSIENT')[0]!;
  const codes = new Set([...list.matchAll(/\| '(\w+)'/g)].map((match) => match[1]!));
  assert.ok(codes.size > 10);
  for (const { path, text } of sources as readonly SourceFile[])
    for (const [comment] of text.matchAll(COMMENT)) {
      const promised = comment.slice(comment.search(/Errors:|Throws|FreshetError|$/));
      for (const [, code] of promised.matchAll(/'(\w+)'/g)) assert.ok(codes.has(code!), `${path} promises '${code}'`);
    }
});

/** Paths from the project root, with slashes. */
function filesBelow(folder: string, name: RegExp, recursive = true): string[] {
  return readdirSync(join(projectRoot, folder), { recursive, withFileTypes: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)));
}
