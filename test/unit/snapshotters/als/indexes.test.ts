/** Index files of a model: their contents, the recall of their graphs, and what happens to a graph with too little. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { FactorSource } from '../../../../publishing/versions/artefacts/factor-file.js';
import { readIndexFile } from '../../../../runtime/models/faiss/index-file.js';
import { RowReader } from '../../../../runtime/models/faiss/row-reader.js';
import { hasCode } from '../../../../runtime/process/errors.js';
import { type IndexesOptions, makeIndexes } from '../../../../snapshotters/als/indexes.js';
import { lengthOf, NEIGHBOURS_INDEX, PRODUCTS_INDEX, userVector } from '../../../../snapshotters/als/layout.js';
import { withoutNative } from '../../runtime/models/faiss/native.js';
import { clusteredVectors } from '../../runtime/models/faiss/vectors.js';

const FACTORS = 32;
const PRODUCTS = 3_000;
const USERS = 500;

function sourceOf(seed: number, rows: number): FactorSource {
  const vectors = clusteredVectors({ seed, count: rows, dimension: FACTORS, clusters: rows });
  return {
    rows,
    factors: FACTORS,
    idOf: (row) => Buffer.from(String(row)),
    // Some are five times as long as others.
    copyFactors: (row, target, at) => {
      for (let f = 0; f < FACTORS; f++) target[at + f] = vectors[row * FACTORS + f]! * (1 + (row % 5));
    },
  };
}

const users = sourceOf(1, USERS);
const products = sourceOf(2, PRODUCTS);

async function made(t: TestContext, options: Partial<IndexesOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'als-indexes-'));
  t.after(() => rm(folder, { recursive: true }));
  return { folder, ...(await makeIndexes({ folder, users, products, ...options })) };
}

describe('indexes of a model', () => {
  test('a few products: flat, vectors of length 1 whose products with a user are its scores', async (t) => {
    const { folder, files, figures, summary } = await made(t);
    assert.deepEqual(await readdir(folder), [...files].sort());
    assert.deepEqual([figures.products, figures.neighbours], [null, null]);
    assert.match(summary, /recommendations searched exactly; similar products searched exactly\./);
    const user = new Float32Array(FACTORS);
    users.copyFactors(3, user, 0);
    const asked = userVector(user);
    const found = await RowReader.open(join(folder, PRODUCTS_INDEX), FACTORS + 1);
    const near = await RowReader.open(join(folder, NEIGHBOURS_INDEX), FACTORS);
    t.after(() => Promise.all([found.close(), near.close()]));
    for (const row of [0, 1, 4, PRODUCTS - 1]) {
      const own = new Float32Array(FACTORS);
      products.copyFactors(row, own, 0);
      const vector = await found.rows(row, row + 1);
      assert.ok(Math.abs(lengthOf(vector) - 1) < 1e-6);
      const score = vector.reduce((sum, value, i) => sum + value * asked[i]!, 0) * lengthOf(user) * figures.length_max;
      const truth = own.reduce((sum, value, i) => sum + value * user[i]!, 0);
      assert.ok(Math.abs(score - truth) < 1e-4, `${score} ${truth}`);
      const direction = await near.rows(row, row + 1);
      for (const [f, value] of own.entries()) assert.ok(Math.abs(value / lengthOf(own) - direction[f]!) < 1e-6);
    }
  });

  test('without FAISS they stay flat, however many products there are', async (t) => {
    const { folder, figures, summary } = await made(t, { graphFrom: 1, engine: 'exact' });
    assert.deepEqual(figures.products, { ef_search: null, tried: [] });
    assert.match(summary, /native module is not installed \("npm run setup:native"\)/);
    assert.equal((await readIndexFile(join(folder, PRODUCTS_INDEX))).kind, 'flat');
  });

  test('I32: graphs find what exact search finds, and are the same bytes every time', {
    skip: withoutNative,
  }, async (t) => {
    const first = await made(t, { graphFrom: 1 });
    for (const graph of [first.figures.products, first.figures.neighbours]) {
      const { ef_search, recall_at_10: recall } = graph!.tried.at(-1)!;
      assert.equal(graph!.ef_search, ef_search);
      assert.ok(recall >= 0.95 && recall <= 1, `${recall}`);
    }
    assert.deepEqual(await readdir(first.folder), [...first.files].sort());
    const second = await made(t, { graphFrom: 1 });
    for (const name of first.files) {
      const { kind, breadth } = await readIndexFile(join(first.folder, name));
      assert.deepEqual([kind, breadth], ['hnsw', 96]);
      assert.deepEqual(await readFile(join(first.folder, name)), await readFile(join(second.folder, name)), name);
    }
  });

  test('a graph searches wider until it finds enough; if it never does, the flat file stays', {
    skip: withoutNative,
  }, async (t) => {
    // With fewer, every node is linked to most of its neighbours, and any width will do.
    const many = sourceOf(2, 4 * PRODUCTS);
    const wider = await made(t, { products: many, graphFrom: 1, efSearch: [1, 1_000], recallMin: 0.995 });
    for (const graph of [wider.figures.products, wider.figures.neighbours]) {
      assert.equal(graph!.ef_search, 1_000);
      const [narrow, wide] = graph!.tried.map(({ recall_at_10 }) => recall_at_10);
      assert.ok(narrow! < 0.995 && wide! >= 0.995, `${narrow} ${wide}`);
    }
    const never = await made(t, { products: many, graphFrom: 1, efSearch: [1], recallMin: 0.995 });
    assert.equal(never.figures.products!.ef_search, null);
    assert.match(never.summary, /recommendations searched exactly \(a graph had recall@10 0\.\d+ with efSearch 1\)/);
    assert.equal((await readIndexFile(join(never.folder, PRODUCTS_INDEX))).kind, 'flat');
    assert.deepEqual(await readdir(never.folder), [...never.files].sort());
  });

  test('factors of only zeros are refused', async (t) => {
    const zeros = { ...products, copyFactors: () => undefined };
    await assert.rejects(made(t, { products: zeros }), (error) => hasCode(error, 'invalid_data'));
  });
});
