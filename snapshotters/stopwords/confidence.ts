/**
 * How likely a word is a stopword, 0 to 1, from document frequencies by source alone; no list of words is used. Three
 * terms contribute for a word t of a language, added up as natural logarithms:
 *
 *   share     p(t,s) = (df(t,s) + μ·p(t)) / (n(s) + μ), its share of all (document, word) pairs of source s, pulled
 * towards
 *             its share p(t) over all sources by as much as μ pairs (Dirichlet smoothing: Zhai and Lafferty, "A study
 * of
 *             smoothing methods for language models applied to information retrieval", 2004). A small source has little
 *             influence.
 *   spread    D(t) = Σ w(s)·ln(p̄(t)/p(t,s)) ≥ 0, with p̄(t) = Σ w(s)·p(t,s) and w(s) ∝ N(s)/(N(s) + W): the
 *             Kullback-Leibler divergence of the sources' weights from the word's distribution. A stopword is frequent
 *             everywhere, a subject word in one place. (For stopwords: Lo, He and Ounis, "Automatically building
 *             a stopword list for an information retrieval system", 2005; as a measure of dispersion: Gries,
 *             "Frequency, dispersion, association, and keyness", 2024.) With one source it is 0.
 *   length    l(t), in code points, relative to the language's mean length of a running word: frequent words are
 *             short (Zipf, "The psycho-biology of language", 1935).
 *
 *   x(t) = ln p̄(t) − 2·D(t) − 2·l(t)          confidence = 1 / (1 + e^(−0.55·(x + 10)))
 *
 * The last step makes it a probability (Platt, "Probabilistic outputs for support vector machines", 1999): of words
 * with a confidence around c, about c of 1 are on lists that people made. The six constants were chosen on German,
 * English and French texts of three kinds, and rounded; test/bench/stopwords.ts reports on other languages and kinds.
 */

/** Documents of one language by term and source. */
export interface LanguageTerms {
  /** Names of the columns, each once, in any order. */
  readonly sources: readonly string[];
  /** Documents per source. */
  readonly totals: Float64Array;
  readonly terms: readonly string[];
  /** Documents that contain the term, terms × sources, row by row. */
  readonly documents: Float64Array;
}

/** A word in only one document says nothing yet. */
const WORD_DOCUMENTS_MIN = 2;
const SHARE_PRIOR_PAIRS = 200;
const SOURCE_HALF_WEIGHT_DOCUMENTS = 20;
const SPREAD_FACTOR = 2;
const LENGTH_FACTOR = 2;
const SLOPE = 0.55;
const MIDDLE = -10;

/** Confidence per term, 0..1, rounded to 6 decimals; the order of sources and of terms makes no difference. */
export function confidences({ sources, totals, terms, documents }: LanguageTerms): Float64Array {
  const confidence = new Float64Array(terms.length);
  const columns = byName(sources);
  const width = columns.length;
  const pairs = pairsOf(documents, width);
  const weights = weightsOf(totals);
  const allPairs = columns.reduce((sum, column) => sum + pairs[column]!, 0);
  if (allPairs === 0) return confidence;

  const evidence = new Float64Array(terms.length);
  const lengths = Float64Array.from(terms, lengthOf);
  const shares: { share: number; length: number }[] = [];
  for (let term = 0; term < terms.length; term++) {
    const frequency = documentFrequency(documents, width, term);
    const prior = (SHARE_PRIOR_PAIRS * frequency) / allPairs;
    let mean = 0;
    let meanLog = 0;
    for (const column of columns) {
      const weight = weights[column]!;
      if (weight === 0) continue;
      const share = (documents[term * width + column]! + prior) / (pairs[column]! + SHARE_PRIOR_PAIRS);
      mean += weight * share;
      meanLog += weight * Math.log(share);
    }
    shares.push({ share: mean, length: lengths[term]! });
    evidence[term] =
      frequency < WORD_DOCUMENTS_MIN
        ? Number.NEGATIVE_INFINITY
        : Math.log(mean) - SPREAD_FACTOR * (Math.log(mean) - meanLog);
  }
  const runningLength = meanLength(shares);
  for (let term = 0; term < terms.length; term++) {
    const x = evidence[term]! - (LENGTH_FACTOR * lengths[term]!) / runningLength;
    confidence[term] = rounded(1 / (1 + Math.exp(-SLOPE * (x - MIDDLE))));
  }
  return confidence;
}

/** Documents that contain the term, over all sources. */
export function documentFrequency(documents: Float64Array, width: number, term: number): number {
  let sum = 0;
  for (let at = term * width; at < (term + 1) * width; at++) sum += documents[at]!;
  return sum;
}

/**
 * Inverse document frequency, smoothed: ln((N + 1)/(df + 1)) + 1, the default of scikit-learn's TfidfTransformer; 6
 * decimals.
 */
export function inverseDocumentFrequency(documents: number, frequency: number): number {
  return rounded(Math.log((documents + 1) / (frequency + 1)) + 1);
}

/** Floating-point sums depend on their order: they run in order of the names, however the columns are ordered. */
function byName(sources: readonly string[]): number[] {
  return sources.map((_, column) => column).sort((a, b) => (sources[a]! < sources[b]! ? -1 : 1));
}

/** Pairs of document and term per source. Sums of integers: exact in any order. */
function pairsOf(documents: Float64Array, width: number): Float64Array {
  const pairs = new Float64Array(width);
  for (let at = 0; at < documents.length; at++) pairs[at % width]! += documents[at]!;
  return pairs;
}

/** Sources with few documents weigh less than others; weights add up to 1 unless there are no documents at all. */
function weightsOf(totals: Float64Array): Float64Array {
  const weights = totals.map((documents) => documents / (documents + SOURCE_HALF_WEIGHT_DOCUMENTS));
  const sum = [...weights].sort((a, b) => a - b).reduce((total, weight) => total + weight, 0);
  return sum === 0 ? weights : weights.map((weight) => weight / sum);
}

/** Mean length of a running word: each term counts by its share. Summed from the smallest up, a fixed order. */
function meanLength(terms: { readonly share: number; readonly length: number }[]): number {
  terms.sort((a, b) => a.share - b.share || a.length - b.length);
  let sum = 0;
  let weight = 0;
  for (const { share, length } of terms) {
    sum += share * length;
    weight += share;
  }
  return sum === 0 ? 1 : sum / weight;
}

function lengthOf(term: string): number {
  let length = 0;
  for (const _ of term) length++;
  return length;
}

function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
