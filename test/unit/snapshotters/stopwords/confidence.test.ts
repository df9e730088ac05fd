import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  confidences,
  documentFrequency,
  inverseDocumentFrequency,
  type LanguageTerms,
} from '../../../../snapshotters/stopwords/confidence.js';

/** Rows of documents by source, and the totals they need. */
function termsOf(rows: readonly { term: string; documents: readonly number[] }[], totals: number[]): LanguageTerms {
  return {
    sources: totals.map((_, source) => `source-${source}`),
    totals: Float64Array.from(totals),
    terms: rows.map(({ term }) => term),
    documents: Float64Array.from(rows.flatMap(({ documents }) => documents)),
  };
}

function confidenceOf(rows: readonly { term: string; documents: readonly number[] }[], totals: number[]) {
  const found = confidences(termsOf(rows, totals));
  return new Map(rows.map(({ term }, row) => [term, found[row]!]));
}

const TOTAL = 1_000;
const counts = fc.integer({ min: 0, max: TOTAL });
const word = fc.string({ minLength: 1, maxLength: 12 });
const corpus = fc.integer({ min: 1, max: 6 }).chain((width) =>
  fc.record({
    totals: fc.constant(new Array<number>(width).fill(TOTAL)),
    rows: fc.uniqueArray(
      fc.record({ term: word, documents: fc.array(counts, { minLength: width, maxLength: width }) }),
      { selector: ({ term }) => term, minLength: 1, maxLength: 30 },
    ),
  }),
);

test('a confidence is between 0 and 1 and has six decimals, whatever the counts', () => {
  fc.assert(
    fc.property(corpus, ({ rows, totals }) => {
      for (const confidence of confidences(termsOf(rows, totals))) {
        assert.ok(confidence >= 0 && confidence <= 1, String(confidence));
        assert.equal(confidence, Number(confidence.toFixed(6)));
      }
    }),
    { seed: 1 },
  );
});

test('I27: neither the order of the sources nor that of the terms changes a single bit', () => {
  fc.assert(
    fc.property(corpus, fc.infiniteStream(fc.nat()), ({ rows, totals }, numbers) => {
      const terms = termsOf(rows, totals);
      const expected = confidenceOf(rows, totals);
      const columns = shuffled(
        totals.map((_, column) => column),
        numbers,
      );
      const order = shuffled([...rows.keys()], numbers);
      const moved: LanguageTerms = {
        sources: columns.map((column) => terms.sources[column]!),
        totals: Float64Array.from(columns, (column) => terms.totals[column]!),
        terms: order.map((row) => terms.terms[row]!),
        documents: Float64Array.from(order.flatMap((row) => columns.map((column) => rows[row]!.documents[column]!))),
      };
      for (const [row, confidence] of confidences(moved).entries())
        assert.equal(confidence, expected.get(moved.terms[row]!));
    }),
    { seed: 2 },
  );
});

test('of two words of equal spread and length, the more frequent one has the higher confidence', () => {
  const spread = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(spread, fc.integer({ min: 2, max: 10 }), (documents, factor) => {
      const more = documents.map((count) => count * factor);
      const totals = documents.map(() => TOTAL);
      const filler = { term: 'filler', documents: documents.map(() => TOTAL) };
      const found = confidenceOf([{ term: 'less', documents }, { term: 'more', documents: more }, filler], totals);
      assert.ok(found.get('more')! >= found.get('less')!);
    }),
    { seed: 3 },
  );
});

test('of two words of equal frequency and length, the more evenly spread one has the higher confidence', () => {
  const width = fc.integer({ min: 2, max: 6 });
  fc.assert(
    fc.property(width, fc.integer({ min: 1, max: 100 }), (sources, each) => {
      const even = new Array<number>(sources).fill(each);
      const heaped = even.map((_, source) => (source === 0 ? each * sources : 0));
      // Sources of equal size: the filler takes the documents that a word leaves.
      const filler = { term: 'filler', documents: heaped.map((count) => 700 - count) };
      const found = confidenceOf(
        [{ term: 'even', documents: even }, { term: 'heap', documents: heaped }, filler],
        even.map(() => TOTAL),
      );
      assert.ok(found.get('even')! > found.get('heap')!);
    }),
    { seed: 4 },
  );
});

test('of two words in the same documents, the shorter one has the higher confidence; length is counted in characters', () => {
  const documents = [50, 50];
  const rows = ['a', 'abc', '𝒳𝒴𝒵', 'abcdefgh'].map((term) => ({ term, documents }));
  const found = confidenceOf(rows, [100, 100]);
  assert.ok(found.get('a')! > found.get('abc')!);
  assert.equal(found.get('𝒳𝒴𝒵'), found.get('abc'));
  assert.ok(found.get('abc')! > found.get('abcdefgh')!);
});

test('a source of a few documents has little influence', () => {
  const here = { term: 'und', documents: [900, 0] };
  const gap = (documents: number) => {
    const there = { term: 'der', documents: [900, documents] };
    const rows = [here, there, { term: 'rest', documents: [5_000, 10 * documents] }];
    const found = confidenceOf(rows, [1_000, documents]);
    return found.get('der')! - found.get('und')!;
  };
  assert.ok(gap(3) > 0);
  assert.ok(gap(900) > 5 * gap(3), `${gap(900)} for absence from 900 documents, ${gap(3)} for absence from 3`);
});

test('works with one source, words of one document, no documents, no terms', () => {
  const one = confidenceOf(
    [
      { term: 'the', documents: [90] },
      { term: 'horse', documents: [3] },
      { term: 'x', documents: [1] },
    ],
    [100],
  );
  assert.ok(one.get('the')! > one.get('horse')!);
  assert.equal(one.get('x'), 0);
  assert.deepEqual([...confidences(termsOf([{ term: 'a', documents: [0, 0] }], [0, 0]))], [0]);
  assert.deepEqual([...confidences(termsOf([], [10]))], []);
});

test('idf is the smoothed idf of scikit-learn; document frequency sums over the sources', () => {
  assert.equal(inverseDocumentFrequency(9, 9), 1);
  assert.equal(inverseDocumentFrequency(99, 9), Number((Math.log(10) + 1).toFixed(6)));
  assert.equal(documentFrequency(Float64Array.from([1, 2, 3, 4]), 2, 1), 7);
});

function shuffled<T>(items: readonly T[], numbers: fc.Stream<number>): T[] {
  const keyed = items.map((item) => ({ item, key: numbers.next().value as number }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
