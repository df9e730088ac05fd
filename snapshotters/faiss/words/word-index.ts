/**
 * Words of products, for search: which products have a word in title, category or description, and how much that says.
 *
 * Ranking is BM25 with weighted fields (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, section
 * 3.6): w is 3 for a word in the title, plus 2 in the category, plus 1 in the description; l is the sum of a product's w:
 *
 *   score(q, p) = Σ idf(t) · w (k + 1) / (w + k (1 − b + b · l / l_mean)),   idf(t) = ln(1 + (N − n + ½) / (n + ½))
 *
 * over the words t of q, with k = 1.2 and b = 0.75, divided by Σ idf(t) (k + 1), so that it is 0 to 1. Words are stemmed in
 * the product's language; of a word that is several terms, the rarest one's idf divides. A word that no product has stands
 * for those that are a typing error away; they count less.
 */
import { FreshetError } from '../../../runtime/process/errors.js';
import { columnsFrom, columnsToBytes } from '../saved-bytes.js';
import { edits, editsAllowed } from './spelling.js';
import { type Stem, stemOf } from './stems.js';
import { isNumbered, searchTerms } from './terms.js';

const K = 1.2;
const B = 0.75;
const WEIGHTS = { title: 3, category: 2, description: 1 } as const;
/** What a word one edit away counts, relative to the word itself; squared for two edits. */
const MISSPELT = 0.6;
const MISSPELT_MAX = 3;
/** Prefix of terms by language; also separates a language's terms from those of the next one. */
const LANGUAGES_MAX = 64;
const FIRST_PREFIX = 0x40;

/** What is searched of a product. */
export interface ProductText {
  readonly title: string;
  readonly category: string;
  readonly description: string;
  /** Primary subtag. */
  readonly language: string;
}

interface WordHit {
  /** Position of the product in the version. */
  readonly position: number;
  /** 0 to 1. */
  readonly score: number;
  /** What was asked is exactly its title. */
  readonly isTitle: boolean;
}

interface WordHits {
  /** Best first. */
  readonly hits: readonly WordHit[];
  /** Words of the query that no product has, nor anything like them. */
  readonly unknown: readonly string[];
}

interface Said {
  readonly languages: readonly string[];
  readonly meanLength: number;
}

/** The bytes of an index over products in the order of their positions; null for a product without a text. */
export function buildWordIndex(products: readonly (ProductText | null)[]): Buffer {
  const languages = [...new Set(products.flatMap((product) => product?.language ?? []))].slice(0, LANGUAGES_MAX);
  const stems = languages.map(stemOf);
  const postings = new Map<string, { docs: number[]; weights: number[] }>();
  const lengths = new Uint16Array(products.length);
  const titles = new Int32Array(products.length);
  for (const [position, product] of products.entries()) {
    if (product === null) continue;
    const language = Math.max(0, languages.indexOf(product.language));
    const stem = stems[language]!;
    const weights = new Map<string, number>();
    for (const [field, weight] of Object.entries(WEIGHTS) as [keyof typeof WEIGHTS, number][])
      for (const term of new Set(searchTerms(product[field]).map(stem)))
        weights.set(term, (weights.get(term) ?? 0) + weight);
    let length = 0;
    for (const [term, weight] of weights) {
      length += weight;
      const key = prefixOf(language) + term;
      const list = postings.get(key) ?? { docs: [], weights: [] };
      postings.set(key, list);
      list.docs.push(position);
      list.weights.push(weight);
    }
    lengths[position] = Math.min(length, 65_535);
    titles[position] = hashOf(searchTerms(product.title));
  }
  const terms = [...postings.keys()].sort();
  const starts = new Int32Array(terms.length + 1);
  for (const [i, term] of terms.entries()) starts[i + 1] = starts[i]! + postings.get(term)!.docs.length;
  const docs = new Int32Array(starts[terms.length]!);
  const weights = new Uint8Array(docs.length);
  for (const [i, term] of terms.entries()) {
    docs.set(postings.get(term)!.docs, starts[i]!);
    weights.set(postings.get(term)!.weights, starts[i]!);
  }
  const withText = products.filter((product) => product !== null).length;
  const meanLength = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, withText);
  const said: Said = { languages, meanLength };
  const columns = { terms: new Uint8Array(Buffer.from(terms.join('\n'))), starts, docs, weights, lengths, titles };
  return columnsToBytes(said, new Map(Object.entries(columns)));
}

const bestFirst = (a: WordHit, b: WordHit): number =>
  Number(b.isTitle) - Number(a.isTitle) || b.score - a.score || a.position - b.position;

const prefixOf = (language: number): string => String.fromCharCode(FIRST_PREFIX + language);

/** A hash of words in their order (FNV-1a, 32 bits): it decides an order, and a collision costs nothing more. */
function hashOf(terms: Iterable<string>): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from([...terms].join(' '))) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash | 0;
}

interface Meant {
  readonly term: number;
  readonly factor: number;
}

export class WordIndex {
  readonly #stems: readonly Stem[];
  readonly #said: Said;
  readonly #terms: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #starts: Int32Array;
  readonly #docs: Int32Array;
  readonly #weights: Uint8Array;
  readonly #lengths: Uint16Array;
  readonly #titles: Int32Array;
  /** Scores of the query in progress; all 0 between queries. */
  readonly #scores: Float32Array;

  /** Errors: FreshetError 'invalid_data' if the bytes are not an index of `products` products. */
  constructor(bytes: Buffer, products: number) {
    const { said, columns } = columnsFrom<Said>(bytes);
    this.#said = said;
    this.#stems = said.languages.map(stemOf);
    const text = Buffer.from(columns.take('terms', Uint8Array)).toString();
    this.#terms = text === '' ? [] : text.split('\n');
    this.#numbers = new Map(this.#terms.map((term, i) => [term, i]));
    this.#starts = columns.take('starts', Int32Array);
    this.#docs = columns.take('docs', Int32Array);
    this.#weights = columns.take('weights', Uint8Array);
    this.#lengths = columns.take('lengths', Uint16Array);
    this.#titles = columns.take('titles', Int32Array);
    if (this.#lengths.length !== products || this.#starts.length !== this.#terms.length + 1)
      throw new FreshetError('invalid_data', `The words are of ${this.#lengths.length} products, not of ${products}.`);
    this.#scores = new Float32Array(products);
  }

  /** Bytes that it takes in memory, without the names of its terms. */
  get byteLength(): number {
    const columns = [this.#starts, this.#docs, this.#weights, this.#lengths, this.#titles, this.#scores];
    return columns.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** At most `limit` products. `asked`: the query before words that say little were dropped from it, as titles have them. */
  search(query: string, limit: number, asked = query): WordHits {
    const unknown: string[] = [];
    const touched: number[] = [];
    let most = 0;
    for (const word of searchTerms(query)) {
      const meant = this.#meant(word);
      if (meant.length === 0) unknown.push(word);
      else most += this.#add(meant, touched) * (K + 1);
    }
    const title = hashOf(searchTerms(asked));
    // A common word is in most products: what is worse than `limit` others is dropped on the way.
    const room = 4 * limit + 64;
    const hits: WordHit[] = [];
    let least = 0;
    for (const position of touched) {
      // Above 1 where a product has several of the words that a misspelt one may stand for.
      const score = Math.min(1, this.#scores[position]! / most);
      this.#scores[position] = 0;
      const isTitle = this.#titles[position] === title;
      if (!isTitle && score < least) continue;
      hits.push({ position, score, isTitle });
      if (hits.length < room) continue;
      hits.sort(bestFirst).splice(limit);
      least = hits.at(-1)!.isTitle ? least : hits.at(-1)!.score;
    }
    return { hits: hits.sort(bestFirst).slice(0, limit), unknown };
  }

  /** Adds what the products of the terms get for one word; returns its idf, that of the rarest term. */
  #add(meant: readonly Meant[], touched: number[]): number {
    const count = this.#lengths.length;
    let rarest = 0;
    for (const { term, factor } of meant) {
      const from = this.#starts[term]!;
      const to = this.#starts[term + 1]!;
      const idf = Math.log(1 + (count - (to - from) + 0.5) / (to - from + 0.5));
      rarest = Math.max(rarest, idf);
      for (let i = from; i < to; i++) {
        const position = this.#docs[i]!;
        const weight = this.#weights[i]!;
        const norm = K * (1 - B + (B * this.#lengths[position]!) / this.#said.meanLength);
        if (this.#scores[position] === 0) touched.push(position);
        this.#scores[position]! += (factor * idf * weight * (K + 1)) / (weight + norm);
      }
    }
    return rarest;
  }

  /** The terms of a word in every language, or those a typing error away; none if there is nothing like it. */
  #meant(word: string): Meant[] {
    const exact = this.#stems.flatMap((stem, language) => {
      const term = this.#numbers.get(prefixOf(language) + stem(word));
      return term === undefined ? [] : [{ term, factor: 1 }];
    });
    // Another number is another product, not a typing error.
    if (exact.length > 0 || isNumbered(word)) return exact;
    return this.#stems.flatMap((stem, language) => this.#near(prefixOf(language), stem(word)));
  }

  /** The nearest terms with the same first letter, the most frequent ones first. */
  #near(prefix: string, stem: string): Meant[] {
    const allowed = editsAllowed(stem.length);
    if (allowed === 0) return [];
    const start = prefix + stem[0]!;
    let nearest = allowed;
    let found: number[] = [];
    for (let i = this.#firstFrom(start); i < this.#terms.length && this.#terms[i]!.startsWith(start); i++) {
      const distance = edits(this.#terms[i]!.slice(1), stem, nearest);
      if (distance > nearest) continue;
      if (distance < nearest) found = [];
      nearest = distance;
      found.push(i);
    }
    const frequency = (term: number) => this.#starts[term + 1]! - this.#starts[term]!;
    found.sort((a, b) => frequency(b) - frequency(a));
    return found.slice(0, MISSPELT_MAX).map((term) => ({ term, factor: MISSPELT ** nearest }));
  }

  #firstFrom(text: string): number {
    let low = 0;
    let high = this.#terms.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#terms[middle]! < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
