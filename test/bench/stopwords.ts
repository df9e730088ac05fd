/**
 * How good the stopwords are: precision@50 and @100 against stopwords-iso on kinds of real text that are fetched when
 * the bench runs, compared with plain document frequency; and how long a snapshot of many languages takes.
 */
import type { Bench, Figure, Report } from './bench.js';
import { BINS, countsOf, type Evaluated, evaluate } from './stopwords/evaluation.js';
import { KINDS } from './stopwords/kinds.js';
import { measureScale } from './stopwords/scale.js';
import type { Kind } from './stopwords/text.js';
import { numberText } from './table.js';

/** Languages with a target. */
const AIMED: readonly string[] = ['de', 'en', 'es', 'fr', 'it', 'pt'];
const PRECISION_AIM = 0.85;
/** The formula's constants were chosen on these. */
const CHOSEN_ON: readonly string[] = ['de', 'en', 'fr'];
const CHOSEN_KINDS: readonly string[] = ['law', 'manuals', 'stories'];
/** Against a short list, precision says little about confidence. */
const LISTED_MIN = 200;

export const stopwords: Bench = {
  name: 'stopwords',
  what: 'stopwords from real text against lists that people made; a snapshot of 50 languages of 150,000 terms each',
  async run({ say, seed }): Promise<Report[]> {
    const reports: Report[] = [];
    for (const kind of KINDS) {
      say(`${kind.name}: ${kind.what}`);
      const counts = await countsOf(kind, say);
      if (counts.length > 0) reports.push(reportOf(kind, await evaluate(counts)));
      else
        reports.push({
          title: `stopwords, ${kind.name}`,
          figures: [],
          notes: ['Not measured: no text was available.'],
        });
    }
    say('scale: synthetic terms');
    reports.push(await measureScale(seed, say));
    return reports;
  },
};

function reportOf({ name, what }: Kind, evaluated: readonly Evaluated[]): Report {
  const chosen = CHOSEN_KINDS.includes(name) ? CHOSEN_ON : [];
  const aimed = evaluated.filter(({ language }) => AIMED.includes(language));
  const others = evaluated.filter((one) => !AIMED.includes(one.language) && one.listed >= LISTED_MIN);
  return {
    title: `stopwords, ${name}: ${what}. Precision@50 by confidence`,
    figures: [
      ...evaluated.map((one) => figureOf(one, chosen)),
      ...meanFigures('mean of all', evaluated),
      ...meanFigures(`mean of those with a list of ${LISTED_MIN} words or more, except ${AIMED.join(', ')}`, others),
    ],
    notes: [
      chosen.length === 0
        ? "Held out: none of the formula's constants was chosen on this kind."
        : `* The formula's constants were chosen on these; all other languages are held out.`,
      calibration(
        `Share on the list by tenth of confidence, ${aimed.map(({ language }) => language).join(', ')}`,
        aimed,
      ),
      calibration('Share on the list by tenth of confidence, the others of that mean', others),
    ],
  };
}

function figureOf(one: Evaluated, chosen: readonly string[]): Figure {
  const { language, documents, sources, words, listed, at50, at100, plain50, plain100 } = one;
  const mark = chosen.includes(language) ? '*' : ' ';
  const text = `${numberText(documents)} documents of ${sources} sources, ${numberText(words)} words; list of ${listed}`;
  const figure = {
    name: `${language}${mark} ${text}`,
    value: at50,
    unit: `(plain ${plain50.toFixed(2)}); @100 ${at100.toFixed(2)} (${plain100.toFixed(2)})`,
  };
  return AIMED.includes(language) ? { ...figure, aim: { atLeast: PRECISION_AIM } } : figure;
}

function meanFigures(name: string, evaluated: readonly Evaluated[]): Figure[] {
  if (evaluated.length === 0) return [];
  const mean = (of: (one: Evaluated) => number) => evaluated.reduce((sum, one) => sum + of(one), 0) / evaluated.length;
  const text = (of: (one: Evaluated) => number) => mean(of).toFixed(2);
  const unit = `(plain ${text(({ plain50 }) => plain50)}); @100 ${text(({ at100 }) => at100)} (${text(({ plain100 }) => plain100)})`;
  return [{ name, value: mean(({ at50 }) => at50), unit }];
}

function calibration(what: string, evaluated: readonly Evaluated[]): string {
  const shares = Array.from({ length: BINS }, (_, bin) => {
    const all = evaluated.reduce((sum, one) => sum + one.bins[bin]!.all, 0);
    const listed = evaluated.reduce((sum, one) => sum + one.bins[bin]!.listed, 0);
    return `${(bin / BINS).toFixed(1)}: ${all === 0 ? '-' : (listed / all).toFixed(2)}`;
  });
  return `${what}: ${shares.join(', ')}.`;
}
