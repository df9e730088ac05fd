/** A small synthetic corpus: function words in every source, subject words in one, rare words everywhere. */
import { Random, Zipf } from '../../../support/random.js';
import { TermCounts } from '../../../support/term-records.js';

const FUNCTION_WORDS = 80;
const MATTER_WORDS = 40;
const RARE_WORDS = 2_000;
const WORDS_PER_DOCUMENT = 60;

export interface CorpusShape {
  readonly language: string;
  readonly documents: number;
  readonly sources: readonly string[];
  readonly seed: number;
  /** Prefix of every word, so that two languages share none. */
  readonly accent?: string;
}

/** Function words are short; names tell what a word is: f for function, matter, rare. */
export function syntheticCorpus({ language, documents, sources, seed, accent = '' }: CorpusShape): TermCounts {
  const random = new Random(seed);
  const functions = new Zipf(FUNCTION_WORDS, 1);
  const matter = new Zipf(MATTER_WORDS, 0.5);
  const rare = new Zipf(RARE_WORDS, 0.5);
  const counts = new TermCounts(language);
  for (let document = 0; document < documents; document++) {
    const source = sources[document % sources.length]!;
    const terms = new Set<string>();
    for (let word = 0; word < WORDS_PER_DOCUMENT; word++) {
      const kind = random.unit();
      if (kind < 0.5) terms.add(`${accent}f${letters(functions.draw(random))}`);
      else if (kind < 0.75) terms.add(`${accent}matter${source}${letters(matter.draw(random))}`);
      else terms.add(`${accent}rare${letters(rare.draw(random))}`);
    }
    counts.addTerms(source, terms);
  }
  return counts;
}

function letters(number: number): string {
  const rest = Math.floor(number / 26);
  return (rest === 0 ? '' : letters(rest - 1)) + String.fromCharCode(97 + (number % 26));
}
