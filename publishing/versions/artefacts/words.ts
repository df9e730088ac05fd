/** Stopwords in transit: one language at a time, from the file of a version or from Postgres. */
import { createHash } from 'node:crypto';
import { FreshetError } from '../../../runtime/process/errors.js';
import type { Queryable } from '../../../runtime/stores/database.js';

export interface Word {
  readonly word: string;
  /** 0..1. */
  readonly confidence: number;
  readonly idf: number;
  readonly document_frequency: number;
}

/** All words of one language, each once. */
export interface LanguageWords {
  readonly language: string;
  readonly words: readonly Word[];
}

/** Name of the file in a version's folder. */
export const WORDS_FILE = 'stopwords.jsonl';
const LANGUAGE_LENGTH_MAX = 64;
const WORD_LENGTH_MAX = 256;

/**
 * The words of a file, whose lines are grouped by language. Throws FreshetError('invalid_data') for a line that is not
 * a word, and for a word or a language that appears twice.
 */
export async function* wordsOfLines(lines: AsyncIterable<readonly string[]>): AsyncGenerator<LanguageWords> {
  const done = new Set<string>();
  let language: string | null = null;
  let words = new Map<string, Word>();
  let number = 0;
  for await (const some of lines) {
    for (const line of some) {
      const read = wordOf(line, ++number);
      if (read.language !== language) {
        if (language !== null) yield { language, words: [...words.values()] };
        if (done.has(read.language)) throw wrong(number, `language ${read.language} appears a second time`);
        done.add(read.language);
        language = read.language;
        words = new Map();
      }
      if (words.has(read.word)) throw wrong(number, `${JSON.stringify(read.word)} appears a second time`);
      words.set(read.word, read);
    }
  }
  if (language !== null) yield { language, words: [...words.values()] };
}

/** The words that Postgres holds for a version, possibly only some of them. */
export async function* wordsOfTable(database: Queryable, version: number): AsyncGenerator<LanguageWords> {
  const languages = await database.query<{ language: string }>(LANGUAGES, [version]);
  for (const { language } of languages)
    yield { language, words: await database.query<Word>(WORDS, [version, language]) };
}

/** Digest of words, independent of their order. */
export class WordsDigest {
  readonly #languages = new Map<string, { readonly hash: string; readonly count: number }>();

  add({ language, words }: LanguageWords): void {
    const hash = createHash('sha256');
    for (const { word, confidence, idf, document_frequency } of inOrder(words))
      hash.update(`${JSON.stringify([word, confidence, idf, document_frequency])}\n`);
    this.#languages.set(language, { hash: hash.digest('hex'), count: words.length });
  }

  get languages(): number {
    return this.#languages.size;
  }

  /** Hex. */
  finish(): string {
    const hash = createHash('sha256');
    for (const [language, { hash: own, count }] of [...this.#languages].sort(([a], [b]) => (a < b ? -1 : 1)))
      hash.update(`${JSON.stringify([language, count, own])}\n`);
    return hash.digest('hex');
  }
}

/** Digest of words and confidence only, which is all that the online store holds. */
export function confidenceDigest(words: readonly Pick<Word, 'word' | 'confidence'>[]): string {
  const hash = createHash('sha256');
  for (const { word, confidence } of inOrder(words)) hash.update(`${JSON.stringify([word, confidence])}\n`);
  return hash.digest('hex');
}

function inOrder<W extends Pick<Word, 'word'>>(words: readonly W[]): W[] {
  return [...words].sort((a, b) => (a.word < b.word ? -1 : 1));
}

function wordOf(line: string, number: number): Word & { readonly language: string } {
  let read: Partial<Record<string, unknown>>;
  try {
    read = JSON.parse(line) as typeof read;
  } catch {
    throw wrong(number, 'it is not valid JSON');
  }
  const { language, word, confidence, idf, document_frequency } = read ?? {};
  if (!isName(language, LANGUAGE_LENGTH_MAX)) throw wrong(number, 'language');
  if (!isName(word, WORD_LENGTH_MAX)) throw wrong(number, 'word');
  if (!isNumber(confidence) || confidence < 0 || confidence > 1) throw wrong(number, 'confidence must be 0 to 1');
  if (!isNumber(idf)) throw wrong(number, 'idf');
  if (!isNumber(document_frequency) || !Number.isSafeInteger(document_frequency) || document_frequency < 0)
    throw wrong(number, 'document_frequency');
  // -0 and 0 are one number but two texts.
  return { language, word, confidence: confidence + 0, idf: idf + 0, document_frequency: document_frequency + 0 };
}

/** Postgres cannot store a NUL, and neither store can hold half a surrogate pair. */
function isName(value: unknown, lengthMax: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= lengthMax &&
    !value.includes('\0') &&
    (value as unknown as { isWellFormed(): boolean }).isWellFormed()
  );
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function wrong(number: number, what: string): FreshetError {
  return new FreshetError('invalid_data', `${WORDS_FILE}, line ${number} is not a stopword: ${what}.`);
}

const LANGUAGES = `
WITH RECURSIVE found AS (
  (SELECT language FROM stopwords WHERE version = $1 ORDER BY language LIMIT 1)
  UNION ALL
  SELECT (SELECT s.language FROM stopwords s WHERE s.version = $1 AND s.language > found.language
          ORDER BY s.language LIMIT 1)
  FROM found WHERE found.language IS NOT NULL
)
SELECT language FROM found WHERE language IS NOT NULL`;

const WORDS = `
SELECT word, confidence, idf, document_frequency FROM stopwords WHERE version = $1 AND language = $2`;
