/** Recall counts what its definition says: compared with the truth, with equal vectors interchangeable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactAnswers, measure, samplePositions } from '../../../../../runtime/models/faiss/recall.js';
import type { Found, VectorIndex } from '../../../../../runtime/models/faiss/vector-index.js';

/** An index with given answers. */
function answering(count: number, rows: readonly (readonly [position: number, score: number])[][]): VectorIndex {
  let asked = 0;
  return {
    kind: 'flat',
    engine: 'exact',
    metric: 'inner_product',
    dimension: 1,
    count,
    async search(_vectors, queries, k): Promise<Found> {
      const part = rows.slice(asked, asked + queries);
      asked += queries;
      const padded = part.flatMap((row) => Array.from({ length: k }, (_, i) => row[i] ?? ([-1, 0] as const)));
      return {
        positions: Int32Array.from(padded.map(([position]) => position)),
        scores: Float32Array.from(padded.map(([, score]) => score)),
      };
    },
    close: async () => undefined,
  };
}

async function recallOf(
  truth: readonly (readonly [number, number])[],
  found: readonly (readonly [number, number])[],
  own = 0,
) {
  const sample = { positions: Int32Array.of(own), vectors: Float32Array.of(1) };
  return measure(answering(100, [[...found]]), await exactAnswers(answering(100, [[...truth]]), sample));
}

const ten = Array.from({ length: 11 }, (_, i) => [i, 1 - i / 20] as const);

test('all, some, none of the nearest others', async () => {
  assert.deepEqual(await recallOf(ten, ten), { recall: 1, selfFirst: 1 });
  const some = ten.map(([position, score], i) =>
    i >= 9 ? ([position + 50, score - 0.2] as const) : ([position, score] as const),
  );
  assert.deepEqual(await recallOf(ten, some), { recall: 0.8, selfFirst: 1 });
  assert.deepEqual(await recallOf(ten, []), { recall: 0, selfFirst: 0 });
});

test('equal vectors are interchangeable, also with the product itself', async () => {
  const twins = Array.from({ length: 11 }, (_, i) => [i + 1, 1] as const);
  const others = Array.from({ length: 11 }, (_, i) => [i + 40, 1] as const);
  assert.deepEqual(await recallOf(twins, others), { recall: 1, selfFirst: 1 });
});

test('a product not found by its own vector is counted', async () => {
  const strangers = ten.map(([position, score]) => [position + 20, score - 0.3] as const);
  assert.equal((await recallOf(ten, strangers)).selfFirst, 0);
});

test('an index of one product has nothing to miss', async () => {
  const sample = { positions: Int32Array.of(0), vectors: Float32Array.of(1) };
  const truth = await exactAnswers(answering(1, [[[0, 1]]]), sample);
  assert.deepEqual(await measure(answering(1, [[[0, 1]]]), truth), { recall: 1, selfFirst: 1 });
});

test('a sample is spread evenly and never larger than the index', () => {
  assert.deepEqual([...samplePositions(3, 10)], [0, 1, 2]);
  assert.deepEqual([...samplePositions(100, 4)], [12, 37, 62, 87]);
});
