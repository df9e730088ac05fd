import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { loadSettings } from '../../../../assembly/settings.js';
import { wordsOfLines } from '../../../../publishing/versions/artefacts/words.js';
import { hasCode, messageOf } from '../../../../runtime/process/errors.js';
import { thousands } from '../../../../snapshotters/counted.js';
import { TermCounts } from '../../../support/term-records.js';
import { build, withPrevious } from './build.js';
import { type CorpusShape, syntheticCorpus } from './synthetic-corpus.js';

const SOURCES = ['news', 'shop', 'talk', 'wiki'];
const GERMAN: CorpusShape = { language: 'de', documents: 800, sources: SOURCES, seed: 1 };
const ENGLISH: CorpusShape = { language: 'en', documents: 600, sources: SOURCES, seed: 2, accent: 'x' };

const german = syntheticCorpus(GERMAN);
const english = syntheticCorpus(ENGLISH);

test('function words rank above subject words; lines are in order and can be read by the publisher', async () => {
  const { lines, text, report } = await build([english, german]);
  const top = lines.filter(({ language }) => language === 'de').slice(0, 40);
  assert.ok(
    top.every(({ word }) => word.startsWith('f')),
    top.map(({ word }) => word).join(' '),
  );
  const expected = lines.toSorted(
    (a, b) => compare(a.language, b.language) || b.confidence - a.confidence || compare(a.word, b.word),
  );
  assert.deepEqual(lines, expected);
  assert.deepEqual(Object.keys(lines[0]!), ['language', 'word', 'confidence', 'idf', 'document_frequency']);
  const read: [string, number][] = [];
  for await (const { language, words } of wordsOfLines(linesOf(text))) read.push([language, words.length]);
  assert.deepEqual(Object.fromEntries(read), report.figures['by_language']);
  for (const { confidence, document_frequency } of lines) {
    assert.ok(confidence >= 0.2 && confidence <= 1);
    assert.ok(document_frequency >= 2 && document_frequency <= 800);
  }
});

test('I27: the same records give the same bytes and the same report, whatever the order of their languages', async () => {
  const first = await build([german, english]);
  const second = await build([english, german]);
  assert.equal(first.text, second.text);
  const { summary: _, ...told } = first.report;
  const { summary: __, ...again } = second.report;
  assert.deepEqual(told, again);
});

test('counts, figures, result and summary describe the build', async () => {
  const small = syntheticCorpus({ ...GERMAN, language: 'nl', documents: 20 });
  const unknown = syntheticCorpus({ ...GERMAN, language: 'und', documents: 1_234 });
  const { report, lines, progress } = await build([german, english, small, unknown]);
  const { counts, figures, result, summary, checks, files, settings } = report;
  assert.deepEqual(files, ['stopwords.jsonl']);
  assert.equal(settings['STOPWORDS_DOCUMENTS_MIN'], 50);
  assert.equal(counts['documents'], 800 + 600 + 20 + 1_234);
  assert.deepEqual([counts['languages'], counts['languages_left_out'], counts['words']], [2, 2, lines.length]);
  assert.deepEqual(result, { documents_processed: 2_654, stopwords_updated: lines.length });
  const languages = figures['languages'] as Record<string, { words: number; confidence: number[]; top: string[] }>;
  const { de } = languages;
  assert.equal(
    de!.confidence.reduce((sum, count) => sum + count, 0),
    de!.words,
  );
  assert.equal(de!.top[0], lines[0]!.word);
  assert.deepEqual(Object.keys(languages), ['de', 'en']);
  assert.ok(
    checks.every(({ passed }) => passed),
    JSON.stringify(checks),
  );
  assert.match(summary[0]!, /^Source: topic terms connected, (1,0\d\d|9\d\d) records of 4 languages\.$/);
  assert.match(summary[1]!, /^Documents: 2,654 processed in \d+\.\d s\.$/);
  assert.match(summary[2]!, /^Candidates: \d,\d{3} words across 2 languages\.$/);
  assert.equal(
    summary[3],
    'Left out: nl (20 documents: 50 are required), und (1,234 documents: their language is not known).',
  );
  assert.equal(summary[4], 'There is no previous version: every word is new.');
  assert.equal(summary[5], `To be published: ${thousands(lines.length)} words in 2 languages.`);
  assert.deepEqual(progress[0], ['build', 0, 4]);
  assert.deepEqual(progress.at(-1), ['build', 4, 4]);
});

test('the settings bound the list', async () => {
  const settings = loadSettings({ STOPWORDS_WORDS_MAX: '30', STOPWORDS_CONFIDENCE_MIN: '0.6' });
  const { lines, report } = await build([german], { settings });
  assert.equal(lines.length, 30);
  assert.ok(lines.every(({ confidence }) => confidence >= 0.6));
  const all = await build([german]);
  assert.deepEqual(lines, all.lines.slice(0, 30), 'the same words as without bounds');
  assert.ok(report.checks.every(({ passed }) => passed));
});

test('an empty topic, and too small languages, are invalid data with an explanation, and no file is published', async () => {
  await assert.rejects(build([]), (error) => {
    assert.ok(hasCode(error, 'invalid_data'));
    assert.match(messageOf(error), /holds no documents.*Send documents.*current version stays/s);
    return true;
  });
  const small = syntheticCorpus({ ...GERMAN, documents: 49 });
  await assert.rejects(build([small]), (error) => {
    assert.ok(hasCode(error, 'invalid_data'));
    assert.match(messageOf(error), /largest is de with 49 documents: 50 are required/);
    return true;
  });
});

test('of more than 500 languages the smallest are left out, and this is reported', async () => {
  const many = Array.from({ length: 501 }, (_, n) => {
    const language = new TermCounts(String.fromCharCode(97 + Math.floor(n / 26), 97 + (n % 26), 120));
    for (let document = 0; document <= n % 7; document++) language.addTerms('', new Set(['w']));
    return language;
  });
  const { report } = await build([...many, german]);
  assert.deepEqual([report.counts['languages'], report.counts['languages_left_out']], [1, 501]);
  // Sums over all, including the two that were dropped: n % 7 + 1 documents each.
  assert.equal(report.counts['documents'], 800 + many.reduce((sum, { documents }) => sum + documents, 0));
  assert.match(report.summary[0]!, /of 502 languages\.$/);
  assert.match(report.summary[3]!, /^Left out: aax \(1 document: 50 are required\), .* and 481 more\.$/);
});

test('one giant document among empty copies does not turn its words into a list', async () => {
  const giant = new TermCounts('de');
  giant.addTerms('', new Set(Array.from({ length: 100_000 }, (_, n) => `w${n.toString(36)}`)));
  await assert.rejects(build([giant]), (error) => hasCode(error, 'invalid_data'));
  for (const [term, counts] of german.terms) for (const [source, count] of counts) giant.set(term, source, count);
  for (const [source, count] of german.totals) giant.totals.set(source, count);
  const { lines } = await build([giant]);
  assert.ok(lines.length > 40);
  assert.deepEqual(
    lines.filter(({ word }) => word.startsWith('w')),
    [],
  );
});

test('documents without a source also give a list', async () => {
  const { lines } = await build([syntheticCorpus({ ...GERMAN, sources: [''] })]);
  assert.ok(lines.slice(0, 20).filter(({ word }) => word.startsWith('f')).length >= 18);
});

test('the build is compared with the last version: words added, removed, changed', async () => {
  const before = await build([german, english]);
  await withPrevious(before, async (previous) => {
    const more = syntheticCorpus({ ...GERMAN, documents: 1_000 });
    const french = syntheticCorpus({ ...ENGLISH, language: 'fr', documents: 500 });
    const { report } = await build([more, french], {
      previous,
      settings: loadSettings({ STOPWORDS_CHANGE_ALLOWED: 'true' }),
    });
    const { summary, checks } = report;
    assert.match(
      summary.find((line) => line.startsWith('Compared with'))!,
      /^Compared with version 3: [\d,]+ words added, [\d,]+ removed, [\d,]+ changed by 0\.01 or more\.$/,
    );
    assert.ok(
      summary.some((line) => /^ {2}fr: [\d,]+ added, 0 removed, 0 changed; most: \S+ none → 0\.\d\d/.test(line)),
    );
    assert.ok(summary.some((line) => /^ {2}de: [\d,]+ added, [\d,]+ removed, [\d,]+ changed; most: /.test(line)));
    assert.ok(summary.includes('  languages no longer present: en'));
    assert.deepEqual(
      checks.map(({ name }) => name),
      ['records', 'count', 'range', 'variety', 'documents', 'sources', 'distribution', 'languages'],
    );
  });
  await withPrevious(before, async (previous) => {
    const { report } = await build([german, english], { previous });
    assert.ok(report.summary.includes('Compared with version 3: 0 words added, 0 removed, 0 changed by 0.01 or more.'));
    assert.ok(report.checks.every(({ passed }) => passed));
  });
});

test('a missing or damaged last version is reported, and is no obstacle', async () => {
  const before = await build([german, english]);
  const second = before.text.indexOf('\n') + 1;
  const damages: [what: RegExp, damage: (path: string) => Promise<void>][] = [
    [/ENOENT/, (path) => rm(path)],
    [/has \d+ bytes, but its manifest says \d+/, (path) => writeFile(path, before.text.slice(0, 500))],
    [
      /line 2 is not a stopword/,
      (path) => writeFile(path, `${before.text.slice(0, second)}#${before.text.slice(second + 1)}`),
    ],
  ];
  for (const [what, damage] of damages)
    await withPrevious(before, async (previous, path) => {
      await damage(path);
      const { report, text } = await build([german, english], { previous });
      const line = report.summary.find((one) => one.startsWith('Version 3 cannot be compared'));
      assert.match(line ?? '', what);
      assert.equal(text, before.text);
      assert.deepEqual(
        report.checks.map(({ name }) => name),
        ['records', 'count', 'range', 'variety'],
      );
    });
});

async function* linesOf(text: string): AsyncGenerator<string[]> {
  yield text.split('\n').slice(0, -1);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
