/** What passes and what fails: a normal day, and the ways in which a corpus breaks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSettings } from '../../../../assembly/settings.js';
import type { Check } from '../../../../publishing/versions/manifest.js';
import { checkChanges, checkedList, checkLists, checkRecords } from '../../../../snapshotters/stopwords/checks.js';
import { compare, stabilityByChance, stabilityIndex } from '../../../../snapshotters/stopwords/comparison.js';
import { histogramOf } from '../../../../snapshotters/stopwords/figures.js';
import type { TermCounts } from '../../../support/term-records.js';
import { type BuiltFiles, build, withPrevious } from './build.js';
import { type CorpusShape, syntheticCorpus } from './synthetic-corpus.js';

const SOURCES = ['blog', 'docs', 'news', 'shop', 'talk', 'wiki'];
const GERMAN: CorpusShape = { language: 'de', documents: 3_000, sources: SOURCES, seed: 1 };
const settings = loadSettings({});

const before = build([
  syntheticCorpus(GERMAN),
  syntheticCorpus({ ...GERMAN, language: 'en', accent: 'x' }),
  syntheticCorpus({ ...GERMAN, language: 'nl', documents: 60, accent: 'y' }),
]);

/** The checks of a build of these languages, replacing those above, against a build of the ones above. */
async function checksAfter(changed: readonly TermCounts[], given: Record<string, string> = {}): Promise<Check[]> {
  const names = new Set(changed.map(({ language }) => language));
  const rest: CorpusShape[] = [GERMAN, { ...GERMAN, language: 'en', accent: 'x' }];
  const same = rest.filter(({ language }) => !names.has(language)).map(syntheticCorpus);
  return withPrevious(await before, async (previous) => {
    const { report } = await build([...same, ...changed], { previous, settings: loadSettings(given) });
    return [...report.checks];
  });
}

function failed(checks: readonly Check[]): string[] {
  return checks.filter(({ passed }) => !passed).map(({ name }) => name);
}

test('a normal day passes: different documents of the same kind, a tenth fewer, a third more, a small language gone', async () => {
  for (const documents of [2_700, 3_000, 4_000])
    assert.deepEqual(failed(await checksAfter([syntheticCorpus({ ...GERMAN, documents, seed: 9 })])), []);
});

test('a corpus being loaded passes: five times the documents, new sources', async () => {
  const grown = syntheticCorpus({ ...GERMAN, documents: 15_000, sources: [...SOURCES, 'mail', 'wire'] });
  assert.deepEqual(failed(await checksAfter([grown])), []);
});

test('losing half the sources fails', async () => {
  // Their documents are lost with them; or as many arrived from other sources.
  const half = syntheticCorpus({ ...GERMAN, documents: 1_500, sources: SOURCES.slice(0, 3) });
  const checks = await checksAfter([half]);
  assert.ok(failed(checks).includes('documents') && failed(checks).includes('sources'), failed(checks).join());
  assert.match(
    sentenceOf(checks, 'documents'),
    /^Far fewer documents than in the last version, de \(1,500 of 3,000\)\. Was a source cut off/,
  );
  assert.match(sentenceOf(checks, 'sources'), /de \(3 of 6\).*STOPWORDS_CHANGE_ALLOWED=true\.$/);
  const elsewhere = syntheticCorpus({ ...GERMAN, sources: SOURCES.slice(0, 3) });
  assert.ok(failed(await checksAfter([elsewhere])).includes('sources'));
});

test("replacing one language with another's words fails", async () => {
  const checks = await checksAfter([syntheticCorpus({ ...GERMAN, accent: 'x' })]);
  assert.deepEqual(failed(checks), ['distribution']);
  assert.match(
    sentenceOf(checks, 'distribution'),
    /de \(stability index .*; 0 % of the top words kept, at least 70 %\)/,
  );
});

test('99 % deleted', async () => {
  assert.deepEqual(failed(await checksAfter([syntheticCorpus({ ...GERMAN, documents: 30 })])), ['languages']);
  const large = await build([syntheticCorpus({ ...GERMAN, documents: 10_000 })]);
  const checks = await withPrevious(large, async (previous) => {
    const { report } = await build([syntheticCorpus({ ...GERMAN, documents: 100 })], { previous });
    return report.checks;
  });
  assert.ok(failed(checks).includes('documents'));
});

test('an intended change passes, and is still reported', async () => {
  const half = syntheticCorpus({ ...GERMAN, documents: 1_500, sources: SOURCES.slice(0, 3) });
  const checks = await checksAfter([half], { STOPWORDS_CHANGE_ALLOWED: 'true' });
  assert.deepEqual(failed(checks), []);
  assert.match(sentenceOf(checks, 'documents'), /STOPWORDS_CHANGE_ALLOWED lets it pass\.$/);
});

test('equal confidences fail', async () => {
  const { lines } = await before;
  const german = wordsOf(await before, 'de');
  const flat = german.map((word) => ({ ...word, confidence: 0.5 }));
  assert.deepEqual(failed(checkLists([checkedList('de', 3_000, flat)], settings)), ['variety']);
  const basis = { documents: 3_000, sources: 6 };
  const comparison = compare({ language: 'de', words: german }, { language: 'de', words: flat });
  const compared = { ...comparison, basis, basisBefore: basis };
  assert.deepEqual(failed(checkChanges([compared], [], settings)), ['distribution']);
  assert.ok(lines.length > 0);
});

test('impossible figures, and lists that are too short or too long, fail', async () => {
  const german = wordsOf(await before, 'de');
  for (const wrong of [
    { confidence: 1.1 },
    { confidence: Number.NaN },
    { confidence: -0.1 },
    { idf: Number.POSITIVE_INFINITY },
    { document_frequency: 3_001 },
    { document_frequency: 0 },
  ]) {
    const strange = german.with(7, { ...german[7]!, ...wrong });
    assert.ok(
      failed(checkLists([checkedList('de', 3_000, strange)], settings)).includes('range'),
      JSON.stringify(wrong),
    );
  }
  assert.ok(failed(checkLists([checkedList('de', 3_000, german.slice(0, 9))], settings)).includes('count'));
  const bounded = { ...settings, STOPWORDS_WORDS_MAX: 20 };
  const checks = checkLists([checkedList('de', 3_000, german)], bounded);
  assert.deepEqual(failed(checks), ['count']);
  assert.match(sentenceOf(checks, 'count'), /^A list must have 10 to 20 words, but de \([\d,]+\)/);
});

test('unreadable records fail', () => {
  const check = checkRecords({ count: 2, first: '"de/7": the value is cut short' });
  assert.equal(check.passed, false);
  assert.match(check.sentence, /^2 records of terms could not be read \(the first: "de\/7": the value is cut short\)/);
  assert.equal(checkRecords({ count: 0, first: null }).passed, true);
});

test('a lost language matters if it was settled, or if that is unknown', () => {
  const lost = (documents: number | null) =>
    checkChanges(
      [],
      [{ language: 'de', basisBefore: documents === null ? null : { documents, sources: 1 } }],
      settings,
    );
  assert.deepEqual(failed(lost(499)), []);
  assert.match(sentenceOf(lost(499), 'languages'), /^Lost, but none of them settled: de\.$/);
  assert.deepEqual(failed(lost(500)), ['languages']);
  assert.match(sentenceOf(lost(500), 'languages'), /^Lost languages, de \(500 documents before\)/);
  assert.deepEqual(failed(lost(null)), ['languages']);
});

test('the stability index matches the published formula', () => {
  assert.equal(stabilityIndex([5, 5], [5, 5]), 0);
  // Shares 0.25/0.75 against 0.75/0.25 with half a word added to each: 2·0.5·ln 3.
  assert.ok(Math.abs(stabilityIndex([12, 37], [37, 12]) - 0.5 * 2 * Math.log(37.5 / 12.5)) < 1e-12);
  assert.ok(stabilityIndex([10, 0], [0, 10]) > 2 && Number.isFinite(stabilityIndex([10, 0], [0, 10])));
  assert.equal(stabilityByChance(90, 90), 0.2);
  assert.deepEqual(
    histogramOf([{ confidence: 0 }, { confidence: 0.1 }, { confidence: 1 }, { confidence: Number.NaN }]),
    [1, 1, 0, 0, 0, 0, 0, 0, 0, 1],
  );
});

function wordsOf({ lines }: BuiltFiles, wanted: string) {
  return lines.filter(({ language }) => language === wanted);
}

function sentenceOf(checks: readonly Check[], wanted: string): string {
  return checks.find(({ name }) => name === wanted)?.sentence ?? '';
}
