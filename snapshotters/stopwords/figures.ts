/** Figures of a language's list: number of words, confidence, frequency. */
import type { Word } from '../../publishing/versions/artefacts/words.js';

export const CONFIDENCE_BINS = 10;
const TOP_SHOWN = 10;
/** Tenths of the way from the rarest word to the most frequent one. */
const DECILES = Array.from({ length: 11 }, (_, tenth) => tenth / 10);

export interface LanguageFigures {
  readonly documents: number;
  readonly sources: number;
  /** Terms that were considered. */
  readonly candidates: number;
  readonly words: number;
  /** Number of words per tenth of confidence: [0, 0.1), … [0.9, 1]. */
  readonly confidence: readonly number[];
  /** Document frequency: least, nine deciles, most. */
  readonly document_frequency: readonly number[];
  /** The words with the highest confidence. */
  readonly top: readonly string[];
}

/** `words`: by descending confidence. */
export function figuresOf(
  words: readonly Word[],
  about: Pick<LanguageFigures, 'documents' | 'sources' | 'candidates'>,
): LanguageFigures {
  const { documents, sources, candidates } = about;
  const frequencies = words.map(({ document_frequency }) => document_frequency).sort((a, b) => a - b);
  return {
    documents,
    sources,
    candidates,
    words: words.length,
    confidence: histogramOf(words),
    document_frequency:
      frequencies.length === 0
        ? []
        : DECILES.map((share) => frequencies[Math.floor(share * (frequencies.length - 1))]!),
    top: words.slice(0, TOP_SHOWN).map(({ word }) => word),
  };
}

/** Number of words per tenth of confidence; values that are not numbers from 0 to 1 are in none. */
export function histogramOf(words: readonly Pick<Word, 'confidence'>[]): number[] {
  const bins = new Array<number>(CONFIDENCE_BINS).fill(0);
  for (const { confidence } of words) {
    const bin = Math.min(CONFIDENCE_BINS - 1, Math.floor(confidence * CONFIDENCE_BINS));
    if (bins[bin] !== undefined) bins[bin]++;
  }
  return bins;
}
