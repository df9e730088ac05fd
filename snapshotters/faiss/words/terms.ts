/** The words of a product's text or of a query: those of the corpus, and numbers, which name products too. */
import { termsOf } from '../../../processors/corpus/words.js';

/** A number, or letters and digits in one: 15, 40w, x200. */
const NUMBERED = /[\p{L}\p{M}]*\p{N}[\p{L}\p{M}\p{N}]*/gu;

/** Each once; words first, in the order of their first occurrence. */
export function searchTerms(text: string): string[] {
  const numbered = text.match(NUMBERED) ?? [];
  const words = termsOf(numbered.length === 0 ? text : text.replace(NUMBERED, ' '));
  return [...new Set([...words, ...numbered.map((one) => one.normalize('NFKC').toLowerCase())])];
}

export function isNumbered(term: string): boolean {
  return /\p{N}/u.test(term);
}
