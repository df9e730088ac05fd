/** A kind of text, language by language: precision of the resulting lists, and how well confidence is calibrated. */
import { loadSettings } from '../../../assembly/settings.js';
import { TermCounts } from '../../support/term-records.js';
import { listsFrom, precisionAt, referenceLists } from './quality.js';
import type { Kind } from './text.js';

/** Less text does not contain a hundred words to judge. */
const WORDS_MIN = 1_000;
export const BINS = 10;

export interface Evaluated {
  readonly language: string;
  readonly documents: number;
  readonly sources: number;
  /** Words, each once per document. */
  readonly words: number;
  /** Words on the reference list. */
  readonly listed: number;
  readonly at50: number;
  readonly at100: number;
  /** The same by document frequency only. */
  readonly plain50: number;
  readonly plain100: number;
  /** Number of words per tenth of confidence: all, and those on the list. */
  readonly bins: readonly { readonly all: number; readonly listed: number }[];
}

/** Every language of the kind for which there is a list, in order. */
export async function countsOf(kind: Kind, say: (line: string) => void): Promise<TermCounts[]> {
  const references = referenceLists();
  const counts = new Map<string, TermCounts>();
  for await (const { language, source, text } of kind.documents(say)) {
    if (!references.has(language)) continue;
    const found = counts.get(language) ?? new TermCounts(language);
    counts.set(language, found);
    found.add(source, text);
  }
  return [...counts.values()].filter(({ words }) => words >= WORDS_MIN).sort(byLanguage);
}

/** Lists are built by the real code with default settings, except the least confidence: all words are judged. */
export async function evaluate(counts: readonly TermCounts[]): Promise<Evaluated[]> {
  const { byLanguage } = await listsFrom(counts, loadSettings({ STOPWORDS_CONFIDENCE_MIN: '0' }));
  const references = referenceLists();
  return counts.flatMap((count) => {
    const { language, documents, words, totals } = count;
    const list = byLanguage.get(language);
    if (list === undefined) return [];
    const reference = references.get(language)!;
    const made = list.map(({ word }) => word);
    const plain = count.mostFrequent(100);
    const bins = Array.from({ length: BINS }, () => ({ all: 0, listed: 0 }));
    for (const { word, confidence } of list) {
      const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))]!;
      bin.all++;
      if (reference.has(word)) bin.listed++;
    }
    return {
      language,
      documents,
      sources: totals.size,
      words,
      listed: reference.size,
      at50: precisionAt(50, made, reference),
      at100: precisionAt(100, made, reference),
      plain50: precisionAt(50, plain, reference),
      plain100: precisionAt(100, plain, reference),
      bins,
    };
  });
}

function byLanguage(a: TermCounts, b: TermCounts): number {
  return a.language < b.language ? -1 : 1;
}
