import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fnv1a, SHARDS, shardOf } from '../../../../processors/corpus/shards.js';
import { candidatesMax, candidatesPerShard } from '../../../../snapshotters/stopwords/candidates.js';

test('the bound is the smallest whose Poisson tail is small enough, and has the value its comment gives', () => {
  assert.deepEqual([1, 3_000, 20_000].map(candidatesMax), [12_000, 12_000, 80_000]);
  const bound = candidatesPerShard(12_000);
  assert.ok(SHARDS * poissonTail(12_000 / SHARDS, bound) <= 1e-6);
  assert.ok(SHARDS * poissonTail(12_000 / SHARDS, bound - 1) > 1e-6);
  assert.equal(bound, 91);
  assert.equal(bound * SHARDS, 23_296);
});

test('it rises with the candidates, and works up to the maximum that the settings allow', () => {
  let former = 0;
  for (const words of [3_000, 3_500, 10_000, 20_000]) {
    const bound = candidatesPerShard(candidatesMax(words));
    assert.ok(bound > former && Number.isFinite(bound), `${words}: ${bound}`);
    former = bound;
  }
});

test('terms hashed as the corpus hashes them stay below it', () => {
  const perShard = new Array<number>(SHARDS).fill(0);
  for (let term = 0; term < 12_000; term++) {
    const bytes = Buffer.from(`wort${term}`);
    perShard[shardOf(fnv1a(bytes, 0, bytes.length))]!++;
  }
  assert.ok(Math.max(...perShard) <= candidatesPerShard(12_000), String(Math.max(...perShard)));
});

/** P(Poisson(mean) > k), the tail summed directly. */
function poissonTail(mean: number, k: number): number {
  let probability = Math.exp(-mean);
  let tail = 0;
  for (let i = 1; i < k + 1_000; i++) {
    probability *= mean / i;
    if (i > k) tail += probability;
  }
  return tail;
}
