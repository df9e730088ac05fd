/** Waiting searches are batched in order and within limits, and each gets its own part of the results. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Found } from '../../../../../runtime/models/faiss/vector-index.js';
import { deal, type WaitingSearch, WaitingSearches } from '../../../../../runtime/models/faiss/waiting-searches.js';

function search(value: number, queries: number, k: number): WaitingSearch & { found: Found | Error | null } {
  const one = {
    vectors: new Float32Array(queries * 2).fill(value),
    queries,
    k,
    found: null as Found | Error | null,
    resolve: (found: Found) => {
      one.found = found;
    },
    reject: (error: Error) => {
      one.found = error;
    },
  };
  return one;
}

test('a batch has as many of the longest waiting searches as fit', () => {
  const waiting = new WaitingSearches(100);
  for (const [i, queries] of [3, 4, 5].entries()) waiting.add(search(i, queries, 1));
  const first = waiting.take(8)!;
  assert.deepEqual([first.queries, first.searches.length, waiting.queries], [7, 2, 5]);
  assert.deepEqual([...first.vectors], [...new Array(6).fill(0), ...new Array(8).fill(1)]);
  assert.equal(waiting.take(2)!.queries, 5, 'a search larger than a batch goes alone');
  assert.equal(waiting.take(8), null);
});

test('searches above the limit are rejected with an error that says to try again', () => {
  const waiting = new WaitingSearches(5);
  const one = search(0, 4, 1);
  waiting.add(one);
  assert.throws(() => waiting.add(search(0, 2, 1)), { code: 'unavailable', transient: true });
  assert.equal(waiting.remove(one), true);
  assert.equal(waiting.remove(one), false);
  waiting.add(search(0, 5, 1));
  assert.equal(waiting.queries, 5);
});

test('results are distributed by query and by k', () => {
  const waiting = new WaitingSearches(100);
  const searches = [search(0, 1, 2), search(1, 2, 3), search(2, 1, 1)];
  for (const one of searches) waiting.add(one);
  const batch = waiting.take(100)!;
  assert.deepEqual([batch.queries, batch.k], [4, 3]);
  const positions = Int32Array.from({ length: 12 }, (_, i) => i);
  deal(batch, { positions, scores: Float32Array.from(positions) });
  assert.deepEqual(
    searches.map(({ found }) => [...(found as Found).positions]),
    [[0, 1], [3, 4, 5, 6, 7, 8], [9]],
  );
  assert.deepEqual([...(searches[2]!.found as Found).scores], [9]);
});

test('all waiting searches can be rejected', () => {
  const waiting = new WaitingSearches(100);
  const one = search(0, 1, 1);
  waiting.add(one);
  waiting.rejectAll(new Error('over'));
  assert.deepEqual([(one.found as Error).message, waiting.queries], ['over', 0]);
});
