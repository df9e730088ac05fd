/** The exact search finds what a full sort finds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BLOCK_ROWS, ExactSearch } from '../../../../../runtime/models/faiss/exact-search.js';
import { nearest } from './vectors.js';

/** Few different values, so that there are many equal scores. */
const number = fc.integer({ min: -4, max: 4 }).map((value) => value / 4);

for (const metric of ['inner_product', 'l2'] as const)
  test(`${metric}: the k nearest in order, on ties the lower position first`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }).chain((dimension) =>
          fc.record({
            dimension: fc.constant(dimension),
            rows: fc.array(fc.array(number, { minLength: dimension, maxLength: dimension }), {
              minLength: 1,
              maxLength: 600,
            }),
            queries: fc.array(fc.array(number, { minLength: dimension, maxLength: dimension }), {
              minLength: 1,
              maxLength: 9,
            }),
            k: fc.integer({ min: 1, max: 20 }),
          }),
        ),
        ({ dimension, rows, queries, k: wanted }) => {
          const k = Math.min(wanted, rows.length);
          const exact = new ExactSearch(dimension, metric);
          for (let from = 0; from < rows.length; from += BLOCK_ROWS)
            exact.addBlock(Float32Array.from(rows.slice(from, from + BLOCK_ROWS).flat()));
          assert.equal(exact.count, rows.length);
          const { positions, scores } = exact.search(Float32Array.from(queries.flat()), queries.length, k);
          const all = Float32Array.from(rows.flat());
          for (const [i, query] of queries.entries()) {
            const found = [...positions.subarray(i * k, (i + 1) * k)];
            assert.deepEqual(found, nearest(all, Float32Array.from(query), k, metric));
            const own = scores.subarray(i * k, (i + 1) * k);
            const sorted = [...own].sort((a, b) => (metric === 'l2' ? a - b : b - a));
            assert.deepEqual([...own], sorted);
          }
        },
      ),
      { seed: 6, numRuns: 60 },
    );
  });
