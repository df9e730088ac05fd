/**
 * Selects the words of a query to search for. A word is dropped if any current language has it as a stopword with a
 * confidence of at least 0.7: queries are too short to detect their language (the detector of the corpus, which also
 * takes 143 MiB, considers "coffee grinder" Danish), and the surest stopwords of one language rarely matter to products
 * in another. A query of stopwords only is searched for unchanged.
 */
import { termsOf } from '../../processors/corpus/words.js';
import type { FeatureReader } from '../../publishing/reading/reader.js';
import type { Clock } from '../../runtime/process/clock.js';
import { KeptFresh } from './kept-fresh.js';

const CONFIDENCE_MIN = 0.7;
const MAX_AGE_MS = 5_000;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;

export class QueryWords {
  readonly #stopwords: KeptFresh<ReadonlySet<string>>;

  constructor(readers: Pick<FeatureReader, 'stopwords' | 'stopwordLanguages'>, clock: Pick<Clock, 'elapsed'>) {
    this.#stopwords = new KeptFresh(() => surest(readers), clock, MAX_AGE_MS);
  }

  /** The query without stopwords; unchanged if they are unavailable. Never throws. */
  async searchedFor(query: string): Promise<string> {
    try {
      return withoutStopwords(query, await this.#stopwords.get());
    } catch {
      return query;
    }
  }
}

export function withoutStopwords(query: string, stopwords: ReadonlySet<string>): string {
  const kept = query.replace(WORD, (word) => (isStopword(word, stopwords) ? '' : word));
  return termsOf(kept).size === 0 ? query : kept.replace(/\s+/g, ' ').trim();
}

/** Normalised as the corpus normalises its words. */
function isStopword(word: string, stopwords: ReadonlySet<string>): boolean {
  const terms = [...termsOf(word)];
  return terms.length > 0 && terms.every((term) => stopwords.has(term));
}

async function surest(readers: Pick<FeatureReader, 'stopwords' | 'stopwordLanguages'>): Promise<ReadonlySet<string>> {
  const words = new Set<string>();
  for (const language of await readers.stopwordLanguages()) {
    const found = await readers.stopwords(language);
    for (const [word, confidence] of Object.entries(found?.words ?? {}))
      if (confidence >= CONFIDENCE_MIN) words.add(word);
  }
  return words;
}
