/** How a language's list differs from the previous one. */
import type { LanguageWords, Word } from '../../publishing/versions/artefacts/words.js';
import { CONFIDENCE_BINS, histogramOf } from './figures.js';

/** A confidence that changed by less counts as unchanged: documents are added and removed all the time. */
const CHANGE_MIN = 0.01;
const LARGEST_SHOWN = 5;
/** Words compared for overlap. */
const TOP_COMPARED = 50;

export interface Change {
  readonly word: string;
  /** Null: not in that list. */
  readonly before: number | null;
  readonly after: number | null;
}

export interface Comparison {
  readonly language: string;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** The largest first. */
  readonly largest: readonly Change[];
  readonly wordsBefore: number;
  readonly wordsAfter: number;
  /** Population stability index of the confidences; see `stabilityIndex`. */
  readonly stability: number;
  /** Share of the previous top 50 words that are among the top 50 now, 0..1. */
  readonly overlap: number;
}

/** Both lists by descending confidence. */
export function compare(before: LanguageWords, after: LanguageWords): Comparison {
  const former = new Map(before.words.map(({ word, confidence }) => [word, confidence]));
  const now = new Set(after.words.map(({ word }) => word));
  const changes: Change[] = [];
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const { word, confidence } of after.words) {
    const old = former.get(word) ?? null;
    if (old !== null && Math.abs(old - confidence) < CHANGE_MIN) continue;
    counts[old === null ? 'added' : 'changed']++;
    changes.push({ word, before: old, after: confidence });
  }
  for (const { word, confidence } of before.words) {
    if (now.has(word)) continue;
    counts.removed++;
    changes.push({ word, before: confidence, after: null });
  }
  changes.sort((a, b) => sizeOf(b) - sizeOf(a) || (a.word < b.word ? -1 : 1));
  return {
    language: after.language,
    ...counts,
    largest: changes.slice(0, LARGEST_SHOWN),
    wordsBefore: before.words.length,
    wordsAfter: after.words.length,
    stability: stabilityIndex(histogramOf(before.words), histogramOf(after.words)),
    overlap: overlapOf(before.words, after.words),
  };
}

/**
 * Population stability index: Σ (a − b)·ln(a/b) over the bins' shares a and b, the symmetric form of the
 * Kullback-Leibler divergence; half a word is added to every bin so that an empty one stays finite. Below 0.1 nothing
 * has changed, above 0.25 much has (Siddiqi, "Credit risk scorecards", 2006).
 */
export function stabilityIndex(before: readonly number[], after: readonly number[]): number {
  const share = (bins: readonly number[], bin: number) =>
    (bins[bin]! + 0.5) / (bins.reduce((sum, count) => sum + count, 0) + bins.length / 2);
  return before.reduce((sum, _, bin) => {
    const a = share(after, bin);
    const b = share(before, bin);
    return sum + (a - b) * Math.log(a / b);
  }, 0);
}

/**
 * The index expected by chance between two lists of these sizes: (bins − 1)·(1/n + 1/m), its expectation if both are
 * samples of one distribution (Yurdakul, "Statistical properties of population stability index", 2018).
 */
export function stabilityByChance(before: number, after: number): number {
  return (CONFIDENCE_BINS - 1) * (1 / Math.max(1, before) + 1 / Math.max(1, after));
}

function overlapOf(before: readonly Word[], after: readonly Word[]): number {
  const top = before.slice(0, TOP_COMPARED);
  const now = new Set(after.slice(0, TOP_COMPARED).map(({ word }) => word));
  return top.length === 0 ? 1 : top.filter(({ word }) => now.has(word)).length / top.length;
}

function sizeOf({ before, after }: Change): number {
  return Math.abs((before ?? 0) - (after ?? 0));
}
