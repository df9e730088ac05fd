/**
 * The words of a text, from its UTF-8 bytes, without a string per word:
 *
 * - A word is a letter and all letters and combining marks that follow it, in lower case (each code point by itself)
 *   and in NFC. Everything else separates words: digits too, so a number is not a word.
 * - An apostrophe (' or ’, kept as ') between two letters is part of the word: don't, it's, зв'язок. But not before a
 *   Latin vowel or h, where it marks a Romance elision: l'homme is l and homme, qu'il is qu and il, dell'anno is dell
 *   and anno. So French, Italian and Catalan articles are counted as the stopwords they are, and their nouns as
 *   themselves; English contractions begin with a consonant. (The price is aujourd'hui, which is one word.)
 * - Scripts without spaces between words (Han, kana, Thai, Lao, Khmer, Myanmar, …) are split by the dictionaries of
 *   ICU, run by run, so that scripts may alternate in one text.
 * - More than 64 bytes are not a word but a chain of something else.
 *
 * The bytes of most words are folded while they are read; only words that normalisation might change become strings.
 */
import { isUtf8 } from 'node:buffer';
import {
  COMBINING,
  characters,
  ELIDES,
  kindBeyond,
  LETTER,
  lowerCase,
  MARK,
  UNSETTLED,
  UNSPACED,
} from './characters.js';
import { FNV_OFFSET, FNV_PRIME, fnv1a } from './shards.js';

/** In UTF-8, folded. */
const WORD_BYTES_MAX = 64;
/** Folding makes a word shorter by at most a factor of three: anything longer than this is too long in any case. */
const RAW_BYTES_MAX = 4 * WORD_BYTES_MAX;
const APOSTROPHE = 0x27;
const CURLY_APOSTROPHE = 0x2019;
const PLANE = 0x10000;

/** Receives the words one at a time. */
export interface WordSink {
  /** The word is bytes[0..length), valid until the next one; `hash` is its FNV-1a. */
  word(bytes: Buffer, length: number, hash: number): void;
}

export class Words {
  readonly #kind = characters().kind;
  readonly #lower = characters().lower;
  readonly #folded = Buffer.alloc(4 * RAW_BYTES_MAX);
  // The language does not affect the dictionaries; a fixed one avoids the machine's locale.
  readonly #segmenter = new Intl.Segmenter('en', { granularity: 'word' });

  /** Passes every word of bytes[start..end), which must be valid UTF-8, to the sink, in order. */
  scan(bytes: Buffer, start: number, end: number, sink: WordSink): void {
    const kinds = this.#kind;
    let at = start;
    while (at < end) {
      const lead = bytes[at]!;
      let kind: number;
      let size: number;
      if (lead < 0x80) {
        kind = kinds[lead]!;
        size = 1;
      } else if (lead < 0xe0) {
        kind = kinds[((lead & 0x1f) << 6) | (bytes[at + 1]! & 0x3f)]!;
        size = 2;
      } else if (lead < 0xf0) {
        kind = kinds[((lead & 0x0f) << 12) | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f)]!;
        size = 3;
      } else {
        kind = kindBeyond(codeAt(bytes, at));
        size = 4;
      }
      if ((kind & UNSPACED) !== 0) at = this.#unspaced(bytes, at, end, sink);
      else if ((kind & LETTER) !== 0) at = this.#word(bytes, at, end, sink);
      else at += size;
    }
  }

  /** The word that begins at `start`; returns where it ends. */
  #word(bytes: Buffer, start: number, end: number, sink: WordSink): number {
    const kinds = this.#kind;
    const lower = this.#lower;
    const folded = this.#folded;
    let at = start;
    let length = 0;
    let hash = FNV_OFFSET;
    let last = 0;
    let unsettled = 0;
    while (at < end) {
      const lead = bytes[at]!;
      let code: number;
      let size: number;
      if (lead < 0x80) {
        code = lead;
        size = 1;
      } else if (lead < 0xe0) {
        code = ((lead & 0x1f) << 6) | (bytes[at + 1]! & 0x3f);
        size = 2;
      } else if (lead < 0xf0) {
        code = ((lead & 0x0f) << 12) | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f);
        size = 3;
      } else {
        code = codeAt(bytes, at);
        size = 4;
      }
      let kind = size < 4 ? kinds[code]! : kindBeyond(code);
      if (kind === 0 || (kind & UNSPACED) !== 0) {
        if ((code !== APOSTROPHE && code !== CURLY_APOSTROPHE) || !this.#joins(bytes, at + size, end)) break;
        code = APOSTROPHE;
        kind = 0;
      }
      unsettled |= (kind & UNSETTLED) | (kind & last & COMBINING);
      last = kind;
      at += size;
      // Anything longer is not a word, so the contents of the buffer do not matter then.
      if (length > WORD_BYTES_MAX) continue;
      const small = size < 4 && kind !== 0 ? lower[code]! : code;
      if (small < 0x80) {
        folded[length++] = small;
        hash = Math.imul(hash ^ small, FNV_PRIME);
      } else if (small < 0x800) {
        const first = 0xc0 | (small >> 6);
        const second = 0x80 | (small & 0x3f);
        folded[length++] = first;
        folded[length++] = second;
        hash = Math.imul(Math.imul(hash ^ first, FNV_PRIME) ^ second, FNV_PRIME);
      } else {
        const first = 0xe0 | (small >> 12);
        const second = 0x80 | ((small >> 6) & 0x3f);
        const third = 0x80 | (small & 0x3f);
        folded[length++] = first;
        folded[length++] = second;
        folded[length++] = third;
        hash = Math.imul(hash ^ first, FNV_PRIME);
        hash = Math.imul(Math.imul(hash ^ second, FNV_PRIME) ^ third, FNV_PRIME);
      }
    }
    if (unsettled !== 0) {
      if (at - start <= RAW_BYTES_MAX) this.#give(foldedWord(bytes.toString('utf8', start, at)), sink);
    } else if (length <= WORD_BYTES_MAX) sink.word(folded, length, hash);
    return at;
  }

  /** Whether an apostrophe before `at` belongs to the word. */
  #joins(bytes: Buffer, at: number, end: number): boolean {
    if (at >= end) return false;
    const code = codeAt(bytes, at);
    const kind = code < PLANE ? this.#kind[code]! : kindBeyond(code);
    return (kind & LETTER) !== 0 && (kind & (UNSPACED | ELIDES)) === 0;
  }

  /** The run of a script without spaces that begins at `start`; returns where it ends. */
  #unspaced(bytes: Buffer, start: number, end: number, sink: WordSink): number {
    let at = start;
    while (at < end) {
      const code = codeAt(bytes, at);
      const kind = code < PLANE ? this.#kind[code]! : kindBeyond(code);
      if ((kind & (UNSPACED | MARK)) === 0) break;
      at += sizeOf(code);
    }
    const run = bytes.toString('utf8', start, at).normalize('NFC');
    for (const { segment, isWordLike } of this.#segmenter.segment(run)) if (isWordLike) this.#give(segment, sink);
    return at;
  }

  #give(word: string, sink: WordSink): void {
    // A code unit takes at least one byte: a text too long for the buffer is too long for a word.
    if (word.length > WORD_BYTES_MAX) return;
    const length = this.#folded.write(word, 0, 'utf8');
    if (length <= WORD_BYTES_MAX) sink.word(this.#folded, length, fnv1a(this.#folded, 0, length));
  }
}

/** NFC first, because a mark may belong to a capital letter; and last, because some combine only with the small one. */
function foldedWord(raw: string): string {
  let small = '';
  for (const character of raw.normalize('NFC')) small += lowerCase(character);
  return small.replaceAll('\u2019', "'").normalize('NFC');
}

function codeAt(bytes: Buffer, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return lead;
  const second = bytes[at + 1]! & 0x3f;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | second;
  const third = bytes[at + 2]! & 0x3f;
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | (second << 6) | third;
  return ((lead & 0x07) << 18) | (second << 12) | (third << 6) | (bytes[at + 3]! & 0x3f);
}

function sizeOf(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < PLANE ? 3 : 4;
}

const shared = { words: null as Words | null };

/**
 * The distinct words of a text as the corpus counts them, in order of first occurrence, however many there are. Invalid
 * UTF-8 (in a string: a lone surrogate) separates words.
 */
export function termsOf(text: Buffer | string): Set<string> {
  let bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  if (!isUtf8(bytes)) bytes = Buffer.from(bytes.toString('utf8'), 'utf8');
  const terms = new Set<string>();
  shared.words ??= new Words();
  shared.words.scan(bytes, 0, bytes.length, {
    word: (word, length) => terms.add(word.toString('utf8', 0, length)),
  });
  return terms;
}
