/**
 * Building blocks of the shop's documents in one language: sentences with slots whose fillers carry their own grammar.
 */

export const SOURCES = ['catalogue', 'guide', 'review', 'help'] as const;
export type Source = (typeof SOURCES)[number];

/** One document = an opening, some of the body in its order, a closing. */
export interface Passages {
  readonly openings: readonly string[];
  readonly body: readonly string[];
  readonly closings: readonly string[];
}

/**
 * Slots: `{thing}` is the product, the same one throughout a document; if a language declines it, `{thing}` is the
 * first of its forms and `{thing.1}`, `{thing.2}` the next. `{place}` and `{time}` are whole phrases, drawn for each
 * sentence; `{n}` is a number from 5 to 14, the range in which every language here uses the same plural.
 */
export interface Language {
  /** ISO 639-1. */
  readonly code: string;
  /** Forms separated by a bar, in the order the file's comment names. */
  readonly things: readonly string[];
  readonly places: readonly string[];
  readonly times: readonly string[];
  readonly passages: Readonly<Record<Source, Passages>>;
}
