import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { blendSearch, blendSimilar, candidates, type Scored } from '../../../../serving/models/blend.js';

const item = (product_id: string, score: number): Scored => ({ product_id, score });

describe('similar products', () => {
  it('are half by text, half by behaviour; a product missing from one list counts 0 there', () => {
    const text = [item('a', 0.8), item('b', 0.6), item('c', -0.5)];
    const behaviour = [item('b', 0.4), item('d', 0.9)];
    assert.deepEqual(blendSimilar(text, behaviour, 10), [
      item('b', 0.5),
      item('d', 0.45),
      item('a', 0.4),
      item('c', 0),
    ]);
    assert.deepEqual(blendSimilar(text, behaviour, 2).length, 2);
  });

  it('use one model alone if the other does not know the product', () => {
    const list = [item('a', 0.8), item('b', 0.6)];
    assert.deepEqual(blendSimilar(list, null, 10), list);
    assert.deepEqual(blendSimilar(null, list, 10), list);
    assert.deepEqual(blendSimilar(null, null, 10), []);
    assert.deepEqual(blendSimilar(list, [], 10), [item('a', 0.4), item('b', 0.3)]);
  });

  it('are at most as many as requested, each once, best first, 0 to 1', () => {
    const list = fc.uniqueArray(
      fc.record({ product_id: fc.string({ maxLength: 3 }), score: fc.double({ min: -1, max: 1, noNaN: true }) }),
      { selector: ({ product_id }) => product_id, maxLength: 30 },
    );
    fc.assert(
      fc.property(fc.option(list), fc.option(list), fc.integer({ min: 1, max: 40 }), (text, behaviour, limit) => {
        const blended = blendSimilar(text, behaviour, limit);
        const known = new Set([...(text ?? []), ...(behaviour ?? [])].map(({ product_id }) => product_id));
        assert.equal(blended.length, Math.min(limit, known.size));
        assert.equal(new Set(blended.map(({ product_id }) => product_id)).size, blended.length);
        for (const [i, { score }] of blended.entries()) {
          assert.ok(score >= 0 && score <= 1);
          assert.ok(i === 0 || blended[i - 1]!.score >= score);
        }
      }),
      { seed: 20_251 },
    );
  });
});

describe('search', () => {
  it('adds a tenth for popularity, by its logarithm against the largest', () => {
    const popularity = { scores: new Map(Object.entries({ a: 0, b: 9, c: 99 })), best: 99 };
    const found = [item('a', 0.5), item('b', 0.5), item('c', 0.5), item('unknown', 0.5), item('far', -0.2)];
    assert.deepEqual(
      blendSearch(found, popularity, 10).map(({ product_id, score }) => [product_id, Number(score.toFixed(6))]),
      [
        ['c', 0.55],
        ['b', 0.5],
        ['a', 0.45],
        ['unknown', 0.45],
        ['far', 0],
      ],
    );
  });

  it('ranks by the match alone if nothing is popular', () => {
    const found = [item('a', 0.5), item('b', 0.25)];
    assert.deepEqual(blendSearch(found, { scores: new Map(), best: 0 }, 1), [item('a', 0.45)]);
  });
});

it('uses more candidates than requested, within the limit of an index', () => {
  assert.deepEqual([1, 20, 100, 1000].map(candidates), [60, 60, 300, 2000]);
});
