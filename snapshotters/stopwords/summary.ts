/** A run's summary, as lines for people; the only output of a dry run. */
import { counted, thousands } from '../counted.js';
import type { Change, Comparison } from './comparison.js';

const LANGUAGES_SHOWN = 10;
const LEFT_OUT_SHOWN = 20;

export interface LeftOut {
  readonly language: string;
  readonly documents: number;
  readonly reason: string;
}

interface SummaryFigures {
  readonly topic: string;
  readonly records: number;
  readonly seconds: number;
  /** Documents of all languages, including those left out. */
  readonly documents: number;
  readonly languagesSeen: number;
  /** Terms considered, and in how many languages. */
  readonly candidates: number;
  readonly candidateLanguages: number;
  readonly leftOut: readonly LeftOut[];
  readonly words: number;
  readonly languages: number;
  /** Null: there is no last version. */
  readonly previous: {
    readonly version: number;
    /** Why it could not be read. */
    readonly damage: string | null;
    readonly compared: readonly Comparison[];
    readonly lost: readonly string[];
  } | null;
}

export function summaryOf(figures: SummaryFigures): string[] {
  return [
    `Source: topic ${figures.topic} connected, ${counted(figures.records, 'record')} of ${counted(figures.languagesSeen, 'language')}.`,
    `Documents: ${thousands(figures.documents)} processed in ${figures.seconds.toFixed(1)} s.`,
    `Candidates: ${counted(figures.candidates, 'word')} across ${counted(figures.candidateLanguages, 'language')}.`,
    ...leftOutLines(figures.leftOut),
    ...previousLines(figures.previous),
    `To be published: ${counted(figures.words, 'word')} in ${counted(figures.languages, 'language')}.`,
  ];
}

function leftOutLines(leftOut: readonly LeftOut[]): string[] {
  if (leftOut.length === 0) return [];
  const shown = leftOut.slice(0, LEFT_OUT_SHOWN).map(({ language, documents, reason }) => {
    return `${language} (${counted(documents, 'document')}: ${reason})`;
  });
  const more = leftOut.length - shown.length;
  return [`Left out: ${shown.join(', ')}${more > 0 ? ` and ${thousands(more)} more` : ''}.`];
}

function previousLines(previous: SummaryFigures['previous']): string[] {
  if (previous === null) return ['There is no previous version: every word is new.'];
  const { version, damage, compared, lost } = previous;
  if (damage !== null) return [`Version ${version} cannot be compared; its files are missing or damaged: ${damage}`];
  const sum = (of: (comparison: Comparison) => number) => compared.reduce((total, one) => total + of(one), 0);
  const lines = [
    `Compared with version ${version}: ${counted(
      sum(({ added }) => added),
      'word',
    )} added, ${thousands(sum(({ removed }) => removed))} removed, ${thousands(
      sum(({ changed }) => changed),
    )} changed by 0.01 or more.`,
  ];
  const moved = compared.filter((one) => sizeOf(one) > 0);
  moved.sort((a, b) => sizeOf(b) - sizeOf(a) || (a.language < b.language ? -1 : 1));
  for (const one of moved.slice(0, LANGUAGES_SHOWN))
    lines.push(
      `  ${one.language}: ${thousands(one.added)} added, ${thousands(one.removed)} removed, ${thousands(one.changed)} ` +
        `changed; most: ${one.largest.map(changeText).join(', ')}`,
    );
  if (moved.length > LANGUAGES_SHOWN) lines.push(`  and ${counted(moved.length - LANGUAGES_SHOWN, 'more language')}`);
  if (lost.length > 0) lines.push(`  languages no longer present: ${lost.join(', ')}`);
  return lines;
}

function sizeOf({ added, removed, changed }: Comparison): number {
  return added + removed + changed;
}

function changeText({ word, before, after }: Change): string {
  return `${word} ${confidenceText(before)} → ${confidenceText(after)}`;
}

function confidenceText(confidence: number | null): string {
  return confidence === null ? 'none' : confidence.toFixed(2);
}
