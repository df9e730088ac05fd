/** From records to a version that passes or fails, in every possible state of the topic. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readIndexFile } from '../../../../runtime/models/faiss/index-file.js';
import { hasCode } from '../../../../runtime/process/errors.js';
import { ENGINES, withoutNative } from '../../runtime/models/faiss/native.js';
import { type EmbeddingRecord, failedChecks, products, Workshop } from './build.js';

let shop: Workshop;
before(async () => {
  shop = await Workshop.open();
});
after(() => shop.remove());

const idsOf = async (folder: string) =>
  (await readFile(join(folder, 'ids.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as string);
const summaryOf = ({ report }: { report: { summary: readonly string[] } }) => report.summary.join('\n');

for (const engine of ENGINES)
  describe(`engine ${engine}`, () => {
    test('a flat index: its files, its manifest, everything checked', async () => {
      const built = await shop.build(products(1_000), { engine });
      const { report, folder } = built;
      assert.deepEqual(failedChecks(report), []);
      assert.deepEqual([...report.files].sort(), ['ids.jsonl', 'index.faiss', 'words.bin']);
      assert.deepEqual(readdirSync(folder).sort(), ['ids.jsonl', 'index.faiss', 'manifest.json', 'words.bin']);
      const { kind, count, dimension, metric } = await readIndexFile(join(folder, 'index.faiss'));
      assert.deepEqual(
        { kind, count, dimension, metric },
        { kind: 'flat', count: 1_000, dimension: 16, metric: 'inner_product' },
      );
      assert.deepEqual((await idsOf(folder)).slice(0, 2), ['p00000', 'p00001']);
      const { model, engine: who } = report.settings;
      assert.deepEqual({ model, who, kind: report.settings['kind'] }, { model: 'm1', who: engine, kind: 'flat' });
      assert.equal(report.figures['recall_at_10'], 1);
      assert.deepEqual(report.result, { records_processed: 1_000, products_indexed: 1_000 });
      assert.match(summaryOf(built), /To be published: 1,000 products\./);
      assert.deepEqual(readdirSync(join(shop.root, 'artifacts', '.work', 'faiss-spool')), [], 'no spool is left');
    });

    test('ten products', async () => {
      const { report, folder } = await shop.build(products(10), { engine });
      assert.deepEqual(failedChecks(report), []);
      assert.equal((await idsOf(folder)).length, 10);
    });

    test('one product', async () => {
      const { report } = await shop.build(products(1), { engine });
      assert.deepEqual(failedChecks(report), []);
    });

    test('many products with the same vector', async () => {
      const [first] = products(1);
      const same = products(300).map(({ id }) => ({ id, vector: first!.vector }));
      assert.deepEqual(failedChecks((await shop.build(same, { engine })).report), []);
    });
  });

test('the same records give the same bytes, in whatever order they came', async () => {
  const records = products(500);
  const bytesOf = async (given: readonly EmbeddingRecord[]) => {
    const { folder } = await shop.build(given);
    return Promise.all(['index.faiss', 'ids.jsonl'].map((name) => readFile(join(folder, name))));
  };
  assert.deepEqual(await bytesOf(records), await bytesOf([...records].reverse()));
});

test('an empty topic: the error says what to do', async () => {
  const nothing = (error: Error) =>
    hasCode(error, 'invalid_data') && /holds no vectors.*nothing to index/.test(error.message);
  await assert.rejects(shop.build([]), nothing);
  await assert.rejects(shop.build(products(5).map(({ id }) => ({ id, vector: null }))), nothing);
});

test('99 % deleted: a small index, which replaces the large one only if that is intended', async () => {
  const records = products(1_000);
  const large = await shop.build(records);
  const gone = [...records, ...records.slice(0, 990).map(({ id }) => ({ id, vector: null }))];
  const small = await shop.build(gone, { previous: large });
  assert.deepEqual(failedChecks(small.report), ['count']);
  assert.match(
    small.report.checks.find(({ name }) => name === 'count')!.sentence,
    /10 products, 1,000 in the last version.*FAISS_CHANGE_ALLOWED/,
  );
  const meant = await shop.build(gone, { previous: large, settings: { FAISS_CHANGE_ALLOWED: 'true' } });
  assert.deepEqual(failedChecks(meant.report), []);
  assert.equal((await idsOf(meant.folder)).length, 10);
});

test('products without text have no vector: they are not in the index, and are not reported as missing', async () => {
  const records = products(20).map(({ id, vector }, i) => ({ id, vector: i % 5 === 0 ? null : vector }));
  const { report, folder } = await shop.build(records);
  assert.deepEqual(failedChecks(report), []);
  assert.equal((await idsOf(folder)).includes('p00005'), false);
});

test('I30: mixed models: the model of most products is indexed, the others are left out and reported', async () => {
  const records = products(300).map((record, i) => ({ ...record, model: i % 3 === 0 ? 'old' : 'new' }));
  const built = await shop.build(records);
  assert.deepEqual(failedChecks(built.report), []);
  assert.equal(built.report.settings['model'], 'new');
  assert.deepEqual([built.report.counts['products'], built.report.counts['other_models']], [200, 100]);
  assert.match(summaryOf(built), /WARNING: 100 products left out because embedded by another model: old \(100\)/);
  const many = products(300).map((record, i) => ({ ...record, model: `model-${i % 3}` }));
  assert.deepEqual(failedChecks((await shop.build(many)).report), ['models']);
});

test('NaN, infinity and zeros are left out and reported; too many of them fail', async () => {
  const broken = (value: number) => new Float32Array(16).fill(value);
  const records = products(1_000);
  const few = await shop.build([...records, { id: 'x1', vector: broken(Number.NaN) }, { id: 'x2', vector: broken(0) }]);
  assert.deepEqual(failedChecks(few.report), []);
  assert.equal(few.report.counts['unusable_vectors'], 2);
  assert.match(summaryOf(few), /2 vectors left out: 2 with NaN, infinity or only zeros \(the first: x1\)/);
  const many = Array.from({ length: 20 }, (_, i) => ({ id: `x${i}`, vector: broken(Number.POSITIVE_INFINITY) }));
  assert.deepEqual(failedChecks((await shop.build([...records, ...many])).report), ['vectors']);
  await assert.rejects(shop.build(many), /None of 20 vectors of m1 can be used/);
});

test('vectors of a wrong dimension are left out and reported; too many of them fail', async () => {
  const wrong = Array.from({ length: 30 }, (_, i) => ({ id: `x${i}`, vector: new Float32Array(5).fill(1) }));
  const few = await shop.build([...products(1_000), wrong[0]!]);
  assert.deepEqual(failedChecks(few.report), []);
  assert.equal(few.report.counts['other_dimensions'], 1);
  assert.deepEqual(failedChecks((await shop.build([...products(1_000), ...wrong])).report), ['vectors']);
});

test('a dimension other than the last version of the same model had fails; with another model it passes', async () => {
  const before = await shop.build(products(100));
  const other = products(100, { dimension: 8 });
  assert.deepEqual(failedChecks((await shop.build(other, { previous: before })).report), ['dimension']);
  const renamed = other.map((record) => ({ ...record, model: 'm2' }));
  assert.deepEqual(failedChecks((await shop.build(renamed, { previous: before })).report), []);
});

test('vectors of a length other than 1 are scaled to it', async () => {
  const records = products(50).map(({ id, vector }) => ({ id, vector: vector!.map((value) => value * 3) }));
  const { report } = await shop.build(records);
  assert.deepEqual(failedChecks(report), []);
  assert.equal(report.counts['scaled_vectors'], 50);
});

test('without the native module a kind that needs it is refused before anything is built', async () => {
  await assert.rejects(shop.build(products(50), { settings: { FAISS_INDEX: 'hnsw' } }), (error) =>
    hasCode(error, 'settings'),
  );
});

for (const kind of ['hnsw', 'ivf'] as const)
  test(`${kind}: built and measured, with no flat file left`, { skip: withoutNative }, async () => {
    const built = await shop.build(products(2_000), { engine: 'native', settings: { FAISS_INDEX: kind } });
    const { report, folder, phases } = built;
    assert.deepEqual(failedChecks(report), []);
    assert.ok((report.figures['recall_at_10'] as number) >= 0.95);
    const file = await readIndexFile(join(folder, 'index.faiss'));
    assert.deepEqual([file.kind, file.breadth], [kind, report.settings[kind === 'hnsw' ? 'ef_search' : 'nprobe']]);
    assert.equal(existsSync(join(folder, 'vectors.tmp')), false);
    assert.ok(phases.has('add') && phases.has('recall'), [...phases].join());
  });

for (const kind of ['hnsw', 'ivf'] as const)
  test(`${kind}: one product, ten of them, and hundreds with the same vector`, { skip: withoutNative }, async () => {
    const [first] = products(1);
    const same = products(700).map(({ id, vector }, i) => ({ id, vector: i % 3 === 0 ? vector : first!.vector }));
    for (const records of [products(1), products(10), same]) {
      const { report } = await shop.build(records, { engine: 'native', settings: { FAISS_INDEX: kind } });
      assert.deepEqual(failedChecks(report), [], `${records.length}`);
    }
  });

test('below the required recall, the breadth is doubled, or the check fails if the breadth is given', {
  skip: withoutNative,
}, async () => {
  const options = { engine: 'native', settings: { FAISS_INDEX: 'ivf', FAISS_RECALL_MIN: '1' } } as const;
  const { report } = await shop.build(products(3_000), options);
  const tried = report.figures['tried'] as { breadth: number; recall: number }[];
  assert.ok(tried.length > 1, JSON.stringify(tried));
  assert.deepEqual(failedChecks(report), []);
  const narrow = await shop.build(products(3_000), {
    ...options,
    settings: { ...options.settings, FAISS_NPROBE: '1' },
  });
  assert.ok(failedChecks(narrow.report).includes('recall'));
});
