/**
 * Compares the lists with those of stopwords-iso, on the only real text that needs no network: the Universal
 * Declaration, about 1,300 words per language. `npm run bench -- stopwords` measures on much more text; this detects a
 * broken formula.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countsOf, evaluate } from '../../../bench/stopwords/evaluation.js';
import { law } from '../../../bench/stopwords/kinds.js';

/** Two words in fifty below the current results. */
const FLOORS: Readonly<Record<string, number>> = {
  de: 0.9,
  en: 0.82,
  es: 0.78,
  fr: 0.88,
  it: 0.84,
  pt: 0.82,
  nl: 0.8,
  ro: 0.78,
};
/** Over all languages with a list of 200 words or more; document frequency alone reaches 0.57. */
const MEAN_MIN = 0.65;

test('precision@50 on the Universal Declaration is above its floors, and above that of document frequency', async () => {
  const evaluated = await evaluate(await countsOf(law, () => undefined));
  for (const [language, floor] of Object.entries(FLOORS)) {
    const { at50, plain50 } = evaluated.find((one) => one.language === language)!;
    assert.ok(at50 >= floor, `${language}: ${at50}, at least ${floor}`);
    assert.ok(at50 > plain50, `${language}: ${at50}, document frequency alone ${plain50}`);
  }
  const judged = evaluated.filter(({ listed }) => listed >= 200);
  const mean = judged.reduce((sum, { at50 }) => sum + at50, 0) / judged.length;
  assert.ok(mean >= MEAN_MIN, `mean of ${judged.length} languages: ${mean.toFixed(3)}`);
});
