/**
 * The model that needs no files: words and their 3- and 4-character grams, hashed into 2^14 buckets, each bucket a
 * sparse random direction (Achlioptas 2003; Li, Hastie, Church 2006). Texts that share words or parts of words are
 * close; synonyms are not. It uses only integers and basic arithmetic, so every machine computes the same bits.
 */
import { createHash } from 'node:crypto';
import { type Encoder, type EncoderBatch, normalise } from './embedder.js';

const BUCKETS = 1 << 14;
export const HASHED_DIMENSION = 384;
/** Coordinates per bucket, each with a sign. */
const SPREAD = 16;
const SEED = 0x5eed;
/** More text says nothing new about a product, and half a megabyte must not delay other texts. */
export const HASHED_CHARACTERS_MAX = 8_192;
/** A batch runs without interruption: about 5 ms. */
const BATCH_TEXTS = 64;
/** Short words are mostly in every text (Zipf's law of abbreviation): below this many letters a word weighs less. */
const FULL_LETTERS = 4;

/** Describes the model and is hashed into its name: any change of the vectors must change this text. */
const SPECIFICATION = `1: NFKC, lower case, words, 3-4-grams, ${BUCKETS} buckets, ${HASHED_DIMENSION} dimensions, ${SPREAD} signs, seed ${SEED}, ${HASHED_CHARACTERS_MAX} characters, ${FULL_LETTERS} letters`;

const WORD = /[\p{L}\p{M}\p{N}]+/gu;
const DIGIT = /\p{N}/u;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

export class HashedModel implements Encoder {
  readonly kind = 'hashed';
  readonly dimension = HASHED_DIMENSION;
  readonly model = `hashed-ngrams-${createHash('sha256').update(SPECIFICATION).digest('hex').slice(0, 12)}`;
  readonly #directions = directions();

  plan(texts: readonly string[]): EncoderBatch[] {
    const batches: EncoderBatch[] = [];
    for (let start = 0; start < texts.length; start += BATCH_TEXTS) {
      const rows = Array.from({ length: Math.min(BATCH_TEXTS, texts.length - start) }, (_, i) => start + i);
      batches.push({ rows, run: async () => this.#encode(rows.map((row) => texts[row]!)) });
    }
    return batches;
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  #encode(texts: readonly string[]): Float32Array {
    const vectors = new Float32Array(texts.length * HASHED_DIMENSION);
    for (const [row, text] of texts.entries()) {
      const vector = vectors.subarray(row * HASHED_DIMENSION, (row + 1) * HASHED_DIMENSION);
      for (const [word, times] of wordsOf(text)) this.#addWord(vector, word, Math.sqrt(times));
      normalise(vectors, row, HASHED_DIMENSION);
    }
    return vectors;
  }

  /** The word itself weighs as much as all of its grams together. */
  #addWord(vector: Float32Array, word: string, times: number): void {
    const framed = `<${word}>`;
    const weight = DIGIT.test(word) ? times : times * Math.min(1, Math.max(1, word.length) / FULL_LETTERS);
    const grams = Math.max(0, framed.length - 2) + Math.max(0, framed.length - 3);
    this.#add(vector, hashOf(framed, 0, framed.length, 1), weight);
    const share = weight / Math.sqrt(Math.max(1, grams));
    for (let size = 3; size <= 4; size++)
      for (let at = 0; at + size <= framed.length; at++) this.#add(vector, hashOf(framed, at, at + size, 0), share);
  }

  #add(vector: Float32Array, hash: number, weight: number): void {
    const start = (hash & (BUCKETS - 1)) * SPREAD;
    for (let i = start; i < start + SPREAD; i++) {
      const direction = this.#directions[i]!;
      const at = direction >> 1;
      vector[at] = vector[at]! + ((direction & 1) === 0 ? weight : -weight);
    }
  }
}

/** Words and their counts. A text without words (only symbols) counts as one word, so no vector is ever zero. */
function wordsOf(text: string): Map<string, number> {
  const words = new Map<string, number>();
  const plain = text.slice(0, HASHED_CHARACTERS_MAX).normalize('NFKC').toLowerCase();
  for (const word of plain.match(WORD) ?? [plain.trim()]) words.set(word, (words.get(word) ?? 0) + 1);
  return words;
}

/** FNV-1a over UTF-16 units, then the finaliser of murmur3: the low bits of FNV alone are not spread evenly enough. */
function hashOf(text: string, start: number, end: number, salt: number): number {
  let h = FNV_OFFSET ^ salt;
  for (let i = start; i < end; i++) h = Math.imul(h ^ text.charCodeAt(i), FNV_PRIME);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** SPREAD entries per bucket, each 2 · coordinate + (1 for minus). */
function directions(): Uint16Array {
  const out = new Uint16Array(BUCKETS * SPREAD);
  let state = SEED;
  for (let i = 0; i < out.length; i++) {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    const random = (t ^ (t >>> 14)) >>> 0;
    out[i] = (random % HASHED_DIMENSION) * 2 + (random >>> 31);
  }
  return out;
}
