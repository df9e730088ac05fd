import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OTHER_SOURCE, SOURCES_MAX } from '../../../../processors/corpus/terms-record.js';
import type { Terms } from '../../../../schemas/records.js';
import { languageCandidates } from '../../../../snapshotters/stopwords/language-terms.js';

function record(shard: number, sources: string[], terms: Record<string, number[]>, totals: number[] = []): Terms {
  const rows = Object.entries(terms).map(([term, documents]) => ({ term, documents }));
  return { language: 'de', shard, as_of: 0, sources, totals, terms: rows, omitted: 0, omitted_documents_max: 0 };
}

test('shards may name their sources in any order; the most frequent terms stay, ties by name', () => {
  const found = languageCandidates(
    [record(0, ['a', 'b'], { und: [5, 4], ab: [1, 0] }, [10, 20]), record(3, ['b', 'a'], { der: [7, 2], aa: [0, 1] })],
    3,
  );
  assert.deepEqual(found.sources, ['a', 'b']);
  assert.deepEqual(found.terms, ['der', 'und', 'aa']);
  assert.deepEqual([...found.documents], [2, 7, 5, 4, 1, 0]);
  assert.deepEqual([...found.totals], [10, 20]);
  assert.equal(found.count, 30);
});

test('a term counted after the totals does not make a share above 1', () => {
  const found = languageCandidates([record(0, ['a'], { und: [12] }, [10])], 10);
  assert.deepEqual([...found.totals], [12]);
  assert.equal(found.count, 10);
});

test('without totals there are no documents', () => {
  assert.equal(languageCandidates([record(1, ['a'], { und: [12] })], 10).count, 0);
});

test('sources that one shard merges are merged everywhere', () => {
  const many = Array.from({ length: SOURCES_MAX - 1 }, (_, n) => `s${String(n).padStart(2, '0')}`);
  const others = many.with(0, 'zz');
  const ones = (count: number) => new Array<number>(SOURCES_MAX).fill(count);
  const found = languageCandidates(
    [
      record(0, [...many, OTHER_SOURCE], { und: ones(2) }, ones(4)),
      record(1, [...others, OTHER_SOURCE], { der: ones(1) }),
      record(2, ['s00', 's01', 'zz'], { die: [1, 2, 3] }),
    ],
    10,
  );
  // s00 is named here and merged there, zz the other way round: both are part of the last column.
  assert.deepEqual(found.sources, [OTHER_SOURCE, ...many.slice(1)]);
  assert.equal(found.count, 4 * SOURCES_MAX);
  const row = (term: string) =>
    [...found.documents].slice(found.terms.indexOf(term) * found.sources.length).slice(0, 3);
  assert.deepEqual(row('und'), [4, 2, 2]);
  assert.deepEqual(row('der'), [2, 1, 1]);
  assert.deepEqual(row('die'), [4, 2, 0]);
});
