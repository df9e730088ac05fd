/**
 * Checks that a list must pass before it is published. The checks of the list itself are absolute. Those against the
 * last version apply to settled languages, which have at least ten times the documents that a list requires: a language
 * that has just begun may change freely.
 *
 *   documents     at least 60 % of the last version's.
 *   sources       at least 60 % of the last version's, if it had four or more.
 *   distribution  stability index of the confidences ≤ 0.1 plus what chance adds for lists of these sizes; 35 of the 50
 *                 top words are still among the top 50. Skipped if documents became 1.5 times as many: a corpus
 *                 is being loaded.
 *   languages     no settled language is lost.
 *
 * Tested on the bench's manuals, stories and sayings in de, en, fr, nl, ru and tr: with a tenth of the documents gone,
 * or a fifth of them replaced, the index is at most 0.012 and the overlap at least 0.86 from 1,000 documents on (0.08
 * and 0.80 from 200). A list is so robust that half the sources can go without harming it: the checks of documents and
 * sources detect that.
 *
 * STOPWORDS_CHANGE_ALLOWED lets changes against the last version pass, for a run that is meant to make them.
 */
import type { Word } from '../../publishing/versions/artefacts/words.js';
import type { Check } from '../../publishing/versions/manifest.js';
import { counted, thousands } from '../counted.js';
import { type Comparison, stabilityByChance } from './comparison.js';
import type { StopwordSettings } from './settings.js';

/** A shorter list is not published: the language is left out. */
export const WORDS_MIN = 10;
const CONFIDENCE_RANGE_MIN = 0.05;
const SETTLED_FACTOR = 10;
const KEPT_MIN = 0.6;
const SOURCES_MIN = 4;
const DOCUMENTS_GROWN_MAX = 1.5;
const STABILITY_MAX = 0.1;
const OVERLAP_MIN = 0.7;
const NAMED_MAX = 5;

type CheckSettings = Pick<
  StopwordSettings,
  'STOPWORDS_WORDS_MAX' | 'STOPWORDS_DOCUMENTS_MIN' | 'STOPWORDS_CHANGE_ALLOWED'
>;

/** A finished list, as far as it is checked. */
export interface CheckedList {
  readonly language: string;
  readonly documents: number;
  readonly words: number;
  /** Words with impossible figures: outside 0..1, not finite, in more documents than exist. */
  readonly strange: number;
  /** Largest confidence minus the smallest. */
  readonly range: number;
}

/** Size of the input of a list. */
export interface Basis {
  readonly documents: number;
  readonly sources: number;
}

export interface ComparedList extends Comparison {
  readonly basis: Basis;
  /** Null: the last version does not state it. */
  readonly basisBefore: Basis | null;
}

interface Lost {
  readonly language: string;
  readonly basisBefore: Basis | null;
}

export function checkedList(language: string, documents: number, words: readonly Word[]): CheckedList {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let strange = 0;
  for (const { confidence, idf, document_frequency } of words) {
    least = Math.min(least, confidence);
    most = Math.max(most, confidence);
    const possible = confidence >= 0 && confidence <= 1 && Number.isFinite(idf) && idf >= 0;
    if (!possible || document_frequency < 1 || document_frequency > documents) strange++;
  }
  return { language, documents, words: words.length, strange, range: words.length === 0 ? 0 : most - least };
}

/** Unreadable records of the topic: their words would be missing. */
export function checkRecords(refused: { readonly count: number; readonly first: string | null }): Check {
  const { count, first } = refused;
  const sentence =
    count === 0
      ? 'All records of terms could be read.'
      : `${counted(count, 'record')} of terms could not be read (the first: ${first}). Their words would be missing; ` +
        'check what writes the topic, and replay the corpus.';
  return { name: 'records', passed: count === 0, figure: count, sentence };
}

export function checkLists(lists: readonly CheckedList[], { STOPWORDS_WORDS_MAX: most }: CheckSettings): Check[] {
  const outside = lists.filter(({ words }) => words < WORDS_MIN || words > most);
  const strange = lists.filter((list) => list.strange > 0);
  const flat = lists.filter(({ range }) => range < CONFIDENCE_RANGE_MIN);
  const total = lists.reduce((sum, { words }) => sum + words, 0);
  const bounds = `${thousands(WORDS_MIN)} to ${thousands(most)} words`;
  return [
    {
      name: 'count',
      passed: outside.length === 0,
      figure: total,
      sentence:
        outside.length === 0
          ? `${counted(total, 'word')} in ${counted(lists.length, 'language')}, each of ${bounds}.`
          : `A list must have ${bounds}, but ${named(outside, ({ words }) => thousands(words))}: this is a bug in the build.`,
    },
    {
      name: 'range',
      passed: strange.length === 0,
      figure: strange.reduce((sum, list) => sum + list.strange, 0),
      sentence:
        strange.length === 0
          ? 'All confidences are between 0 and 1, all figures are possible.'
          : `Impossible figures, ${named(strange, (list) => counted(list.strange, 'word'))}: this is a bug in the ` +
            'build, or the documents were counted wrongly: verify the corpus.',
    },
    {
      name: 'variety',
      passed: flat.length === 0,
      figure: lists.length === 0 ? null : Math.min(...lists.map(({ range }) => range)),
      sentence:
        flat.length === 0
          ? `In every language the confidences span ${CONFIDENCE_RANGE_MIN} or more.`
          : `All words have nearly the same confidence, ${named(flat, ({ range }) => `a span of ${range.toFixed(3)}`)}: are ` +
            'the documents copies of one text?',
    },
  ];
}

/** Only if there is a last version that can be read. */
export function checkChanges(
  compared: readonly ComparedList[],
  lost: readonly Lost[],
  { STOPWORDS_DOCUMENTS_MIN, STOPWORDS_CHANGE_ALLOWED: allowed }: CheckSettings,
): Check[] {
  // If the last version does not state its number of documents, it counts as settled.
  const isSettled = ({ basisBefore }: Lost) =>
    basisBefore === null || basisBefore.documents >= SETTLED_FACTOR * STOPWORDS_DOCUMENTS_MIN;
  const settled = compared.filter(isSettled);
  const comparable = settled.filter((list) => keptOf(list, 'documents') <= DOCUMENTS_GROWN_MAX);
  const manySources = settled.filter(({ basisBefore }) => basisBefore !== null && basisBefore.sources >= SOURCES_MIN);
  const gone = lost.filter(isSettled);
  const judged = (name: string, figure: number | null, good: string, found: string | null): Check => {
    const advice = allowed
      ? 'STOPWORDS_CHANGE_ALLOWED lets it pass.'
      : 'Was a source cut off, or are documents marked with another language? If this is intended, run once with ' +
        'STOPWORDS_CHANGE_ALLOWED=true.';
    return { name, passed: allowed || found === null, figure, sentence: found === null ? good : `${found}. ${advice}` };
  };
  const kept = (what: keyof Basis, lists: readonly ComparedList[]): Check => {
    const shrunk = lists.filter((list) => keptOf(list, what) < KEPT_MIN);
    const about = ({ basis, basisBefore }: ComparedList) =>
      `${thousands(basis[what])} of ${thousands(basisBefore?.[what] ?? 0)}`;
    return judged(
      what,
      lists.length === 0 ? null : Math.min(...lists.map((list) => keptOf(list, what))),
      `Every settled language has at least ${100 * KEPT_MIN} % of the ${what} of the last version.`,
      shrunk.length === 0 ? null : `Far fewer ${what} than in the last version, ${named(shrunk, about)}`,
    );
  };
  const shifted = comparable.filter((list) => list.stability > limitOf(list) || list.overlap < OVERLAP_MIN);
  const shift = (list: ComparedList) =>
    `stability index ${list.stability.toFixed(2)}, at most ${limitOf(list).toFixed(2)}; ` +
    `${Math.round(100 * list.overlap)} % of the top words kept, at least ${100 * OVERLAP_MIN} %`;
  const names = lost.map(({ language }) => language).join(', ');
  return [
    kept('documents', settled),
    kept('sources', manySources),
    judged(
      'distribution',
      comparable.length === 0 ? null : Math.max(...comparable.map(({ stability }) => stability)),
      `${counted(comparable.length, 'settled language')} compared: confidences and top words are similar to the last version's.`,
      shifted.length === 0 ? null : `A different list from the last version's, ${named(shifted, shift)}`,
    ),
    judged(
      'languages',
      lost.length,
      lost.length === 0 ? 'No language is lost.' : `Lost, but none of them settled: ${names}.`,
      gone.length === 0
        ? null
        : `Lost languages, ${named(gone, ({ basisBefore }) =>
            basisBefore === null ? 'of the last version' : `${counted(basisBefore.documents, 'document')} before`,
          )}`,
    ),
  ];
}

/** The share of the last version's number that remains; 1 if that is unknown. */
function keptOf({ basis, basisBefore }: ComparedList, what: keyof Basis): number {
  return basisBefore === null || basisBefore[what] === 0 ? 1 : basis[what] / basisBefore[what];
}

function limitOf({ wordsBefore, wordsAfter }: ComparedList): number {
  return STABILITY_MAX + stabilityByChance(wordsBefore, wordsAfter);
}

/** `de (12), en (3) and 4 more`. */
function named<L extends { readonly language: string }>(lists: readonly L[], about: (list: L) => string): string {
  const shown = lists.slice(0, NAMED_MAX).map((list) => `${list.language} (${about(list)})`);
  const more = lists.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
