/** An imported model agrees with its weights; an unsupported one is refused with a sentence and leaves nothing. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { COSINE_MIN, importModel } from '../../../../../runtime/models/embedder/import/import-model.js';
import { OnnxModel } from '../../../../../runtime/models/embedder/onnx-model.js';
import { type ErrorCode, hasCode } from '../../../../../runtime/process/errors.js';
import { plainBert } from './plain-bert.js';
import { HIDDEN, idsOf, safetensorsOf, TINY_CONFIG, type TinyModel, tinyWeights, withTinyModel } from './tiny-model.js';

const TEXTS = ['oak desk', 'green', 'steel water bottle water bottle chair', 'lamp a lamp unknown'];

async function embed(folder: string, texts: readonly string[]): Promise<Float32Array[]> {
  const model = await OnnxModel.open({ folder, threads: 1 });
  try {
    const rows: Float32Array[] = [];
    for (const batch of model.plan(texts)) {
      const vectors = await batch.run();
      for (const [i, row] of batch.rows.entries()) rows[row] = vectors.slice(i * HIDDEN, (i + 1) * HIDDEN);
    }
    return rows;
  } finally {
    await model.close();
  }
}

describe('an imported model', () => {
  for (const pooling of ['mean', 'cls'] as const)
    test(`agrees with a plain BERT, ${pooling} pooled, padded or not`, () =>
      withTinyModel({ pooling }, async ({ folder, weights }) => {
        const imported = await importModel({ folder });
        assert.ok(imported.cosine! >= COSINE_MIN);
        assert.equal(imported.pooling, pooling);
        assert.equal(imported.name, 'for-tests');
        const vectors = await embed(folder, TEXTS);
        for (const [row, text] of TEXTS.entries())
          for (const [i, value] of plainBert(weights, pooling, idsOf(text)).entries())
            assert.ok(Math.abs(value - vectors[row]![i]!) < 1e-5, `${text}: ${value} and ${vectors[row]![i]}`);
      }));

  test('is the same file every time; a dry run reports all of it and writes nothing', () =>
    withTinyModel({}, async ({ folder }) => {
      const before = await readdir(folder);
      const dry = await importModel({ folder, dryRun: true });
      assert.equal(dry.cosine, null);
      assert.deepEqual(await readdir(folder), before);
      const done = await importModel({ folder });
      assert.deepEqual({ ...done, cosine: null }, dry);
      const first = await readFile(done.file);
      assert.equal(first.length, done.bytes);
      await assert.rejects(
        importModel({ folder }),
        (error) => hasCode(error, 'settings') && /--replace/.test(String(error)),
      );
      await importModel({ folder, replace: true });
      assert.deepEqual(await readFile(done.file), first);
      assert.deepEqual((await readdir(folder)).sort(), [...before, 'model.onnx'].sort(), 'no other file is left');
    }));

  test('may have bfloat16 weights, and names that start with "bert."', () =>
    withTinyModel({}, async ({ folder, write }) => {
      const named = new Map([...tinyWeights()].map(([name, tensor]) => [`bert.${name}`, tensor]));
      await write('model.safetensors', safetensorsOf(named, 'BF16'));
      assert.ok((await importModel({ folder })).cosine! >= COSINE_MIN);
      const [vector] = await embed(folder, ['oak desk']);
      const exact = plainBert(tinyWeights(), 'mean', idsOf('oak desk'));
      const cosine = exact.reduce((sum, value, i) => sum + value * vector![i]!, 0);
      assert.ok(cosine > 0.99 && cosine < 0.9999999, String(cosine));
    }));
});

describe('refused with a sentence, leaving no file:', () => {
  const cases: readonly (readonly [string, ErrorCode, RegExp, (model: TinyModel) => Promise<void>])[] = [
    [
      'another architecture',
      'settings',
      /"mpnet"; only "bert" can be imported/,
      ({ write }) => write('config.json', JSON.stringify({ ...TINY_CONFIG, model_type: 'mpnet' })),
    ],
    [
      'another activation',
      'settings',
      /activation gelu_new/,
      ({ write }) => write('config.json', JSON.stringify({ ...TINY_CONFIG, hidden_act: 'gelu_new' })),
    ],
    [
      'a number of heads that does not fit',
      'invalid_data',
      /hidden_size 16 cannot be divided by 3 heads/,
      ({ write }) => write('config.json', JSON.stringify({ ...TINY_CONFIG, num_attention_heads: 3 })),
    ],
    [
      'a config that is not JSON',
      'invalid_data',
      /config\.json cannot be read as JSON/,
      ({ write }) => write('config.json', '{'),
    ],
    [
      'an unknown module',
      'settings',
      /uses a Dense module/,
      ({ write }) =>
        write('modules.json', JSON.stringify([{ type: 'sentence_transformers.models.Dense', path: '2_Dense' }])),
    ],
    [
      'another pooling',
      'settings',
      /pooling_mode_max_tokens; only mean or cls/,
      ({ write }) => write('1_Pooling/config.json', JSON.stringify({ pooling_mode_max_tokens: true })),
    ],
    [
      'weights cut off',
      'invalid_data',
      /it ends before/,
      async ({ write, weights }) => write('model.safetensors', safetensorsOf(weights).subarray(0, 9_000)),
    ],
    [
      'weights that are text',
      'invalid_data',
      /its header is truncated/,
      ({ write }) => write('model.safetensors', 'version https://git-lfs.github.com/spec/v1'),
    ],
    ['no weights', 'invalid_data', /its header is truncated/, ({ write }) => write('model.safetensors', '')],
    [
      'a tensor missing',
      'invalid_data',
      /it has no encoder\.layer\.1\.output\.dense\.weight/,
      async ({ write, weights }) => {
        weights.delete('encoder.layer.1.output.dense.weight');
        await write('model.safetensors', safetensorsOf(weights));
      },
    ],
    [
      'weights of another size',
      'invalid_data',
      /config\.json makes it \[99,16\]/,
      ({ write }) => write('config.json', JSON.stringify({ ...TINY_CONFIG, vocab_size: 99 })),
    ],
    [
      'a weight that is NaN',
      'invalid_data',
      /contains values that are not finite/,
      async ({ write, weights }) => {
        weights.get('encoder.layer.0.output.dense.bias')!.values[3] = Number.NaN;
        await write('model.safetensors', safetensorsOf(weights));
      },
    ],
  ];
  for (const [name, code, sentence, damage] of cases)
    test(name, () =>
      withTinyModel({}, async (model) => {
        await damage(model);
        const before = await readdir(model.folder);
        await assert.rejects(
          importModel({ folder: model.folder }),
          (error) => hasCode(error, code) && sentence.test(String(error)),
        );
        assert.deepEqual(await readdir(model.folder), before);
      }),
    );
});
