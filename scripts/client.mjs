#!/usr/bin/env node
/**
 * `npm run client [-- <folder>]`: writes the npm package freshet-client into a folder, by default .build/freshet-client:
 * the files that dist/exports/client.js imports, their types, the schemas, and a package.json with only the packages that
 * these files import, in our versions.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { fail, isCheckout, prepare, root } from './prepare.mjs';

const ENTRY = 'dist/exports/client.js';
const TYPES = 'dist/exports/client.d.ts';
/** Imports and re-exports begin a line; import() and require() may stand anywhere. */
const IMPORT = /(?:^(?:import|export)\s[\w\s{},*$]*\bfrom\s+|^import\s+|\b(?:import|require)\(\s*)['"]([^'"]+)['"]/gm;

prepare();
if (!isCheckout()) fail('The client is made in a source checkout.');
const folder = resolve(process.argv[2] ?? join(root, '.build', 'freshet-client'));
const files = new Set();
const packages = new Set();
collect(ENTRY);
collect(TYPES);
write();
process.stdout.write(`${folder}\n`);

/** A file and everything that it imports: code imports code, types import types. */
function collect(path) {
  if (files.has(path)) return;
  files.add(path);
  for (const [, name] of readFileSync(join(root, path), 'utf8').matchAll(IMPORT)) {
    if (name.startsWith('.')) collect(besides(path, name));
    else if (!name.startsWith('node:')) packages.add(name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
  }
}

/** The file that `name` means in `path`, from the root. */
function besides(path, name) {
  const file = posix.join(posix.dirname(path), name);
  return path.endsWith('.d.ts') ? file.replace(/\.js$/, '.d.ts') : file;
}

function write() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const schemas = readdirSync(join(root, 'schemas'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.avsc'))
    .map((name) => join('schemas', name));
  for (const path of [...files, ...schemas, 'LICENSE']) cpSync(join(root, path), join(folder, path));
  cpSync(join(root, 'docs', 'CLIENT.md'), join(folder, 'README.md'));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
}

function manifest() {
  const ours = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const { version, license, type, engines, dependencies, peerDependencies, peerDependenciesMeta } = ours;
  const only = (versions) => Object.fromEntries(Object.entries(versions).filter(([name]) => packages.has(name)));
  const unknown = [...packages].filter((name) => !(name in dependencies) && !(name in peerDependencies));
  if (unknown.length > 0) fail(`${unknown.join(', ')}: imported, but not in package.json.`);
  return {
    name: 'freshet-client',
    version,
    description: 'Producers and readers for Freshet: events into Kafka, features out of topics and Redis.',
    license,
    type,
    engines,
    exports: {
      '.': { types: `./${TYPES}`, default: `./${ENTRY}` },
      './schemas/*.avsc': './schemas/*.avsc',
      './package.json': './package.json',
    },
    dependencies: only(dependencies),
    peerDependencies: only(peerDependencies),
    peerDependenciesMeta: only(peerDependenciesMeta),
  };
}
