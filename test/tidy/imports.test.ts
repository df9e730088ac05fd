/** Imports point one way, processors do not know each other's neighbours, and every driver has one door. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LAYERS, resolved, sourceFiles } from './source-files.js';

const files = sourceFiles();

test('a folder imports only itself and what stands before it in the way of the data', () => {
  assert.ok(files.length > 30, 'the source was found');
  for (const file of files) {
    const layer = LAYERS.findIndex((name) => file.path.startsWith(`${name}/`));
    for (const specifier of file.imports) {
      const target = resolved(file, specifier);
      if (target === null) continue;
      const other = LAYERS.findIndex((name) => target.startsWith(`${name}/`));
      assert.ok(
        other >= 0 && other <= layer,
        `${file.path} imports ${target}: ${LAYERS[layer]} may not know ${target.split('/')[0]}`,
      );
    }
  }
});

test('processors never import publishing, and publishing never imports processors: they meet in topics', () => {
  for (const file of files) {
    for (const specifier of file.imports) {
      const target = resolved(file, specifier) ?? '';
      if (file.path.startsWith('processors/'))
        assert.ok(!target.startsWith('publishing/'), `${file.path} imports ${target}`);
      if (file.path.startsWith('publishing/'))
        assert.ok(!target.startsWith('processors/'), `${file.path} imports ${target}`);
    }
  }
});

test('one door per driver', () => {
  const doors: Record<string, string> = {
    kafkajs: 'runtime/log/kafka/',
    ioredis: 'runtime/stores/',
    pg: 'runtime/stores/',
    '@confluentinc/schemaregistry': 'schemas/registry.ts',
    avsc: 'schemas/',
    eld: 'processors/corpus/language.ts',
    fastify: 'serving/',
    commander: 'cli/',
    'prom-client': 'runtime/process/metrics.ts',
    pino: 'runtime/process/logger.ts',
    'onnxruntime-node': 'runtime/models/embedder/',
    '@huggingface/tokenizers': 'runtime/models/embedder/',
    'faiss-node': 'runtime/models/faiss/',
  };
  for (const file of files) {
    for (const specifier of file.imports) {
      const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]!;
      const door = doors[name];
      if (door !== undefined) assert.ok(file.path.startsWith(door), `${file.path} imports ${name}: only ${door} may`);
    }
  }
});

test('no cloud SDK and no driver that is not declared here', () => {
  for (const file of files)
    for (const specifier of file.imports)
      assert.doesNotMatch(specifier, /^(@aws-sdk|aws-sdk|@azure|@google-cloud)\b/, file.path);
});
