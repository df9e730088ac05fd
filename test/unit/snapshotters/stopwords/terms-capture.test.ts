import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../runtime/process/errors.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Terms } from '../../../../schemas/records.js';
import { type CaptureBounds, TermsCapture } from '../../../../snapshotters/stopwords/terms-capture.js';
import { columnsOf } from '../../../support/columns.js';
import { termColumns } from '../../../support/term-records.js';

const codec = new Codec();
const BOUNDS: CaptureBounds = { termsPerShard: 3, bytes: 1_000_000, languages: 10 };

function shard(language: string, number: number, counts: readonly number[], totals: readonly number[] = []): Terms {
  const terms = counts.map((count, place) => ({ term: `${language}${number}-${place}`, documents: [count, 1] }));
  const sources = ['a', 'b'];
  return {
    language,
    shard: number,
    as_of: 5,
    sources,
    totals: [...totals],
    terms,
    omitted: 0,
    omitted_documents_max: 0,
  };
}

function captureOf(records: readonly Terms[], bounds: Partial<CaptureBounds> = {}): TermsCapture {
  const capture = new TermsCapture(codec, { ...BOUNDS, ...bounds });
  addTo(capture, records);
  return capture;
}

function addTo(capture: TermsCapture, records: readonly Terms[]): void {
  const columns = termColumns(codec, records);
  for (let row = 0; row < columns.count; row++) capture.add(columns, row);
}

function addRaw(capture: TermsCapture, key: string | null, value: Buffer | null): void {
  capture.add(columnsOf('terms', 0, [{ key, value, timestamp: 0, offset: 0 }]), 0);
}

function stateOf(capture: TermsCapture): unknown {
  const languages = capture.languages.map((language) => [language, plain(capture.shards(language))]);
  return { languages, dropped: [...capture.dropped], refused: capture.refused, bytes: capture.bytes };
}

/** Drops the decoder's classes. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test('the most frequent terms of a shard are kept, with its totals', () => {
  const capture = captureOf([shard('de', 0, [9, 8, 7, 6, 5], [20, 10]), shard('de', 7, [4])]);
  const [first, second] = capture.shards('de');
  assert.deepEqual(
    first!.terms.map(({ term }) => term),
    ['de0-0', 'de0-1', 'de0-2'],
  );
  assert.deepEqual(plain(first!.terms[0]), { term: 'de0-0', documents: [9, 1] });
  assert.deepEqual(
    [first!.totals, first!.sources],
    [
      [20, 10],
      ['a', 'b'],
    ],
  );
  assert.deepEqual([second!.shard, second!.terms.length], [7, 1]);
  assert.equal(capture.records, 2);
});

test('a later record replaces, a null removes, a language without records does not exist', () => {
  const capture = captureOf([shard('de', 0, [9]), shard('de', 1, [3]), shard('de', 0, [4, 2])]);
  assert.deepEqual(
    capture.shards('de')[0]!.terms.map(({ documents }) => documents[0]),
    [4, 2],
  );
  addRaw(capture, 'de/0', null);
  assert.deepEqual(
    capture.shards('de').map((record) => record.shard),
    [1],
  );
  addRaw(capture, 'de/1', null);
  addRaw(capture, 'fr/9', null);
  assert.deepEqual(capture.languages, []);
  assert.equal(capture.bytes, 0);
});

test('I27: in any order of writes, the capture holds the last record of each key, and save and restore keep it', () => {
  const write = fc.record({
    language: fc.constantFrom('de', 'en', 'fra'),
    number: fc.integer({ min: 0, max: 3 }),
    counts: fc.option(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 6 })),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 40 }), fc.nat(40), (writes, cut) => {
      let capture = new TermsCapture(codec, BOUNDS);
      const last = new Map<string, Terms>();
      for (const [place, { language, number, counts }] of writes.entries()) {
        if (place === cut) {
          const again = new TermsCapture(codec, BOUNDS);
          again.restore(capture.save());
          assert.deepEqual(stateOf(again), stateOf(capture));
          capture = again;
        }
        const key = `${language}/${number}`;
        if (counts === null) {
          last.delete(key);
          addRaw(capture, key, null);
        } else {
          const record = shard(
            language,
            number,
            counts.sort((a, b) => b - a),
          );
          last.set(key, record);
          addTo(capture, [record]);
        }
      }
      assert.deepEqual(stateOf(capture), stateOf(captureOf([...last.values()])));
    }),
    { seed: 5 },
  );
});

test('with too many languages, those with the fewest documents are dropped, and stay dropped', () => {
  const capture = captureOf(
    [
      ...['aa', 'bb', 'cc'].map((language, n) => shard(language, 0, [5], [100 * (n + 1), 0])),
      shard('dd', 0, [5], [150, 0]),
      shard('aa', 3, [5]),
    ],
    { languages: 3 },
  );
  assert.deepEqual(capture.languages, ['bb', 'cc', 'dd']);
  assert.deepEqual([...capture.dropped], [['aa', 100]]);
});

test('I27: memory is bounded: past the limit the smallest language is dropped, but never the last one', () => {
  const records = Array.from({ length: 8 }, (_, n) =>
    shard(`a${String.fromCharCode(97 + n)}`, 0, [9, 8, 7], [100 + n, 0]),
  );
  const all = captureOf(records);
  const capture = captureOf(records, { bytes: all.bytes / 2 });
  assert.ok(capture.bytes <= all.bytes / 2);
  assert.deepEqual(capture.languages, ['ae', 'af', 'ag', 'ah']);
  assert.deepEqual(captureOf(records, { bytes: 1 }).languages, ['ah']);
});

test('invalid records of terms are counted and reported, not captured', () => {
  const good = shard('de', 0, [3]);
  const value = codec.encode('Terms', good);
  const cases: [key: string | null, value: Buffer | null, about: RegExp][] = [
    [null, value, /not language\/shard/],
    ['de', value, /not language\/shard/],
    ['DE/0', value, /not language\/shard/],
    ['de/256', value, /not language\/shard/],
    ['de/1', value, /belongs to de\/0/],
    ['en/0', value, /belongs to de\/0/],
    ['de/0', Buffer.from('hello'), /framing/],
    ['de/0', value.subarray(0, 14), /cut short/],
    ['de/0', codec.encode('Terms', shard('de', 0, [3, 4])), /not ordered/],
  ];
  for (const [key, bytes, about] of cases) {
    const capture = new TermsCapture(codec, BOUNDS);
    addRaw(capture, key, bytes);
    assert.equal(capture.refused.count, 1, String(key));
    assert.match(capture.refused.first!, about);
    assert.deepEqual(capture.languages, []);
    const again = new TermsCapture(codec, BOUNDS);
    again.restore(capture.save());
    assert.deepEqual(again.refused, capture.refused);
  }
});

test('bytes that were not saved by a capture are refused', () => {
  const saved = captureOf([shard('de', 0, [3])]).save();
  for (const bytes of [Buffer.alloc(0), Buffer.from('something else'), saved.subarray(0, -1), saved.subarray(0, 10)])
    assert.throws(
      () => new TermsCapture(codec, BOUNDS).restore(bytes),
      (error) => hasCode(error, 'invalid_data'),
    );
});
