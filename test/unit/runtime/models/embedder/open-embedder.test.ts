/** The embedder in its thread: its description of the model, sharing by calls, its end, and damaged files. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Embedder } from '../../../../../runtime/models/embedder/embedder.js';
import { badRow } from '../../../../../runtime/models/embedder/embedder.js';
import { importModel } from '../../../../../runtime/models/embedder/import/import-model.js';
import { batchesOf } from '../../../../../runtime/models/embedder/onnx-model.js';
import { openEmbedder } from '../../../../../runtime/models/embedder/open-embedder.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { createMetrics } from '../../../../../runtime/process/metrics.js';
import { listener, type Said } from '../../../../support/listener.js';
import { HIDDEN, type TinyModel, withTinyModel } from './tiny-model.js';

async function withEmbedder(modelFolder: string | null, work: (embedder: Embedder, said: Said[]) => Promise<void>) {
  const said: Said[] = [];
  const embedder = await openEmbedder({ modelFolder, threads: 1, logger: listener(said), metrics: createMetrics() });
  try {
    await work(embedder, said);
  } finally {
    await embedder.close();
  }
}

const TEXTS = ['oak desk', 'green', 'steel water bottle water bottle chair', 'oak desk', 'lamp a lamp'];

describe('with a model folder', () => {
  test('vectors are in the order of the texts, of norm 1, the same for the same text', () =>
    withTinyModel({}, async ({ folder }) => {
      await importModel({ folder });
      await withEmbedder(folder, async (embedder, said) => {
        assert.equal(embedder.kind, 'onnx');
        assert.equal(embedder.dimension, HIDDEN);
        assert.match(embedder.model, /^for-tests-[0-9a-f]{12}$/);
        const vectors = await embedder.embed(TEXTS);
        assert.equal(vectors.length, TEXTS.length * HIDDEN);
        assert.equal(badRow(vectors, HIDDEN), -1);
        for (const [row, text] of TEXTS.entries()) {
          const alone = await embedder.embed([text]);
          for (let i = 0; i < HIDDEN; i++) assert.ok(Math.abs(alone[i]! - vectors[row * HIDDEN + i]!) < 1e-6);
        }
        assert.deepEqual(
          said.map(({ event, kind, note }) => [event, kind, note]),
          [['embedding_model', 'onnx', undefined]],
        );
      });
    }));

  test('a text is cut to the limit of the model, keeping its end mark, whatever tokenizer.json says about lengths', () =>
    withTinyModel({}, async ({ folder }) => {
      await importModel({ folder });
      await withEmbedder(folder, async (embedder) => {
        // 12 tokens: [CLS], 10 words, [SEP].
        const words = (count: number) => 'oak '.repeat(count - 1).concat('lamp');
        const long = await embedder.embed([words(500), 'oak '.repeat(10), 'oak '.repeat(9)]);
        assert.deepEqual(long.slice(0, HIDDEN), long.slice(HIDDEN, 2 * HIDDEN));
        assert.notDeepEqual(long.slice(HIDDEN, 2 * HIDDEN), long.slice(2 * HIDDEN));
      });
    }));

  test('its name depends on its contents: a copy has the same, other weights, pooling, length or tokenizer another', () =>
    withTinyModel({}, async ({ folder, write }) => {
      const nameOf = async (of: string) => {
        let name = '';
        await withEmbedder(of, async ({ model }) => {
          name = model;
        });
        return name;
      };
      await importModel({ folder });
      const first = await nameOf(folder);
      const copy = await mkdtemp(join(tmpdir(), 'freshet-model-copy-'));
      try {
        await cp(folder, copy, { recursive: true });
        await mkdir(join(copy, 'onnx'));
        await rename(join(copy, 'model.onnx'), join(copy, 'onnx', 'model.onnx'));
        assert.equal(await nameOf(copy), first);
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
      const names = new Set([first]);
      await write('sentence_bert_config.json', '{"max_seq_length":11}');
      names.add(await nameOf(folder));
      await write('1_Pooling/config.json', '{"pooling_mode_cls_token":true}');
      names.add(await nameOf(folder));
      const tokenizer = await readFile(join(folder, 'tokenizer.json'), 'utf8');
      await write('tokenizer.json', tokenizer.replace('"lowercase":true', '"lowercase":false'));
      names.add(await nameOf(folder));
      await withTinyModel({ seed: 8 }, async (other) => {
        await importModel({ folder: other.folder });
        names.add(await nameOf(other.folder));
      });
      assert.equal(names.size, 5);
    }));

  const damages: readonly (readonly [string, RegExp, (model: TinyModel) => Promise<void>])[] = [
    ['no model.onnx', /run "freshet model import/, ({ folder }) => rm(join(folder, 'model.onnx'))],
    [
      'a model.onnx cut off',
      /model\.onnx cannot be loaded: it is damaged/,
      async ({ folder, write }) => write('model.onnx', (await readFile(join(folder, 'model.onnx'))).subarray(0, 5_000)),
    ],
    ['a model.onnx that is text', /model\.onnx cannot be loaded/, ({ write }) => write('model.onnx', 'not a model')],
    ['no tokenizer.json', /has no tokenizer\.json/, ({ folder }) => rm(join(folder, 'tokenizer.json'))],
    [
      'a damaged tokenizer.json',
      /tokenizer\.json cannot be read as JSON/,
      ({ write }) => write('tokenizer.json', '{"a":'),
    ],
    [
      'a tokenizer.json of nothing',
      /tokenizer\.json is not a readable tokenizer/,
      ({ write }) => write('tokenizer.json', '{}'),
    ],
  ];
  for (const [name, sentence, damage] of damages)
    test(`${name} is refused with a sentence`, () =>
      withTinyModel({}, async (model) => {
        await importModel(model);
        await damage(model);
        await assert.rejects(
          withEmbedder(model.folder, async () => undefined),
          (error) => (hasCode(error, 'settings') || hasCode(error, 'invalid_data')) && sentence.test(String(error)),
        );
      }));
});

describe('in its thread', () => {
  test('a single text does not wait for thousands that arrived before it', () =>
    withEmbedder(null, async (embedder) => {
      const order: string[] = [];
      const many = embedder.embed(Array.from({ length: 20_000 }, (_, i) => `product ${i} of many words`));
      const one = embedder.embed(['one']);
      await Promise.all([many.then(() => order.push('many')), one.then(() => order.push('one'))]);
      assert.deepEqual(order, ['one', 'many']);
      assert.equal((await many).length, 20_000 * embedder.dimension);
    }));

  test('an aborted call ends at once, and the next is answered; none is answered after close', () =>
    withEmbedder(null, async (embedder) => {
      const stop = new AbortController();
      const many = embedder.embed(
        Array.from({ length: 20_000 }, (_, i) => `product ${i}`),
        stop.signal,
      );
      stop.abort();
      await assert.rejects(many, (error) => hasCode(error, 'state'));
      await assert.rejects(embedder.embed(['x'], stop.signal), (error) => hasCode(error, 'state'));
      assert.equal((await embedder.embed(['x'])).length, embedder.dimension);
      assert.equal((await embedder.embed([])).length, 0);
      const waiting = embedder.embed(Array.from({ length: 5_000 }, () => 'x'));
      const refused = assert.rejects(waiting, (error) => hasCode(error, 'state'));
      await embedder.close();
      await refused;
      await assert.rejects(embedder.embed(['x']), (error) => hasCode(error, 'state'));
    }));
});

test('a thread that dies fails only its pending calls, and the next call starts another', async () => {
  const embedder = await openEmbedder({
    modelFolder: null,
    threads: 1,
    logger: listener([]),
    metrics: createMetrics(),
    program: new URL('./dying-thread.js', import.meta.url),
  });
  const lost = [embedder.embed(['die']), embedder.embed(['x'])];
  for (const call of lost) await assert.rejects(call, (error) => hasCode(error, 'unavailable'));
  assert.deepEqual(await embedder.embed(['x']), Float32Array.of(1));
  await embedder.close();
  await embedder.close();
});

test('batches contain every text once, with similar lengths, within their limits', () => {
  const lengths = Array.from({ length: 500 }, (_, i) => 1 + ((i * 37) % 250));
  const batches = batchesOf(lengths);
  assert.deepEqual(
    batches.flat().sort((a, b) => a - b),
    lengths.map((_, i) => i),
  );
  for (const batch of batches) {
    const longest = Math.max(...batch.map((i) => lengths[i]!));
    assert.ok(batch.length <= 16 && batch.length * longest <= 2_048);
  }
  assert.deepEqual(batchesOf([9_000, 9_000]), [[0], [1]]);
});
