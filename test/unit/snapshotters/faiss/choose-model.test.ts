/** I30: one model is indexed, and which one is a decision without any index. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseModel } from '../../../../snapshotters/faiss/choose-model.js';

const group = (model: string, dimension: number, products: number, newestMs = 0) => ({
  model,
  dimension,
  products,
  newestMs,
});

test('the model of most products is indexed, in the dimension of most; of equals the newer', () => {
  assert.equal(chooseModel([]), null);
  assert.deepEqual(chooseModel([group('a', 4, 10), group('b', 8, 30), group('b', 4, 2)]), {
    group: group('b', 8, 30),
    otherModels: 10,
    otherDimensions: 2,
  });
  assert.equal(chooseModel([group('a', 4, 10, 5), group('b', 4, 10, 6)])!.group.model, 'b');
  assert.equal(chooseModel([group('b', 4, 10, 5), group('a', 4, 10, 5)])!.group.model, 'a');
});
