/** The choice of an index kind and its search breadth, without any index. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planBuild } from '../../../../../runtime/models/faiss/build-plan.js';
import { breadths, chooseKind } from '../../../../../runtime/models/faiss/kind.js';
import { hasCode } from '../../../../../runtime/process/errors.js';

test('the kind follows the size, unless a setting says otherwise', () => {
  const kinds = [1, 19_999, 20_000, 499_999, 500_000, 5_000_000].map(
    (count) => chooseKind('auto', count, 'native').kind,
  );
  assert.deepEqual(kinds, ['flat', 'flat', 'hnsw', 'hnsw', 'ivf', 'ivf']);
  assert.equal(chooseKind('ivf', 10, 'native').kind, 'ivf');
  assert.equal(chooseKind('flat', 5_000_000, 'exact').kind, 'flat');
});

test('without the native module the index is flat, with a warning if another kind fits; a kind that is set explicitly is refused', () => {
  assert.deepEqual(chooseKind('auto', 100, 'exact'), { kind: 'flat', warning: null });
  const { kind, warning } = chooseKind('auto', 50_000, 'exact');
  assert.equal(kind, 'flat');
  assert.match(warning!, /npm run setup:native.*kind hnsw/);
  assert.throws(
    () => chooseKind('hnsw', 100, 'exact'),
    (error: Error) => hasCode(error, 'settings') && /setup:native/.test(error.message),
  );
});

test('a given breadth is the only one tried; otherwise it is doubled up to everything', () => {
  assert.deepEqual(breadths('flat', null, {}), []);
  assert.deepEqual(breadths('hnsw', null, {}), [64, 128, 256, 512, 1024]);
  assert.deepEqual(breadths('ivf', 20, {}), [8, 16, 20]);
  assert.deepEqual(breadths('ivf', 4096, {}).slice(0, 2), [128, 256]);
  assert.deepEqual(breadths('ivf', 4, {}), [4]);
  assert.deepEqual(breadths('hnsw', null, { FAISS_EF_SEARCH: 33 }), [33]);
  assert.deepEqual(breadths('ivf', 20, { FAISS_NPROBE: 33 }), [20]);
});

test('lists and rows to train on grow with the number of products', () => {
  const sizes = (count: number) => {
    const { lists, trainedOn } = planBuild('ivf', { vectors: '', out: '', dimension: 8, count });
    return [lists, trainedOn];
  };
  assert.deepEqual(sizes(10), [1, 10]);
  assert.deepEqual(sizes(1_000), [16, 1_000]);
  assert.deepEqual(sizes(100_000), [1024, 65_536]);
  assert.deepEqual(sizes(1_000_000), [2048, 131_072]);
});
