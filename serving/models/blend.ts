/**
 * Merges lists of products into one.
 *
 * similar (CombSUM of Fox and Shaw 1994, each half of it 0 to 1):
 *   score = ½ · max(0, cosine of the texts) + ½ · max(0, cosine of the behaviour)
 * where a product that is missing from one list's candidates counts 0 there. A product that only one of the two models
 * knows is compared by that model alone.
 *
 * search, in a version with words:
 *   score = 0.7 · words + 0.2 · max(0, cosine) + 0.1 · ln(1 + S) / ln(1 + S_best)
 * for a product that has words of the query (words: word-index.ts, 0 to 1), and 1 if they are its title; where none has,
 * or the meaning is near enough (a cosine of at least 0.4, by a model that knows meanings), the other two terms alone. A
 * weighted sum of scores that are all 0 to 1 (Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval,
 * 2023) keeps a product that matches badly in every way at a low score, which ranks alone would not.
 *
 * search, in a version without:
 *   score = 0.9 · max(0, cosine of query and product) + 0.1 · ln(1 + S) / ln(1 + S_best)
 * with S the product's popularity, 0 for all but the 1,000 most popular ones, and S_best the largest popularity: so
 * popularity orders products that match about equally well, but does not lift a product that does not match.
 */
export interface Scored {
  readonly product_id: string;
  readonly score: number;
}

const POPULARITY_SHARE = 0.1;

/** Null: that model does not know the product. Best first. */
export function blendSimilar(
  text: readonly Scored[] | null,
  behaviour: readonly Scored[] | null,
  limit: number,
): Scored[] {
  const lists = [text, behaviour].filter((list) => list !== null);
  const sums = new Map<string, number>();
  for (const list of lists)
    for (const { product_id, score } of list)
      sums.set(product_id, (sums.get(product_id) ?? 0) + Math.max(0, score) / lists.length);
  return best(sums, limit);
}

export interface Popularity {
  /** Scores of the most popular products. */
  readonly scores: ReadonlyMap<string, number>;
  /** The largest score; 0 if there are none. */
  readonly best: number;
}

/** `found`: cosines with the query. Best first. */
export function blendSearch(found: readonly Scored[], { scores, best: most }: Popularity, limit: number): Scored[] {
  const sums = new Map<string, number>();
  for (const { product_id, score } of found) {
    const popularity = most > 0 ? Math.log1p(scores.get(product_id) ?? 0) / Math.log1p(most) : 0;
    sums.set(product_id, (1 - POPULARITY_SHARE) * Math.max(0, score) + POPULARITY_SHARE * popularity);
  }
  return best(sums, limit);
}

const WORDS_SHARE = 0.7;
const NEAR_SHARE = 0.2;
/** A cosine from which on a model says that a text is about the same, whatever its words. */
export const NEAR_MIN = 0.4;

interface FoundBoth {
  readonly words: readonly (Scored & { readonly isTitle: boolean })[];
  /** Cosines with the query. */
  readonly near: readonly Scored[];
  /** The cosines are of letters, not of meanings. */
  readonly isLexical: boolean;
}

/** Best first. */
export function blendFound(
  { words, near, isLexical }: FoundBoth,
  { scores, best: most }: Popularity,
  limit: number,
): Scored[] {
  const popularity = (id: string) => (most > 0 ? Math.log1p(scores.get(id) ?? 0) / Math.log1p(most) : 0);
  const cosines = new Map(near.map(({ product_id, score }) => [product_id, Math.max(0, score)]));
  const rest = (id: string) => NEAR_SHARE * (cosines.get(id) ?? 0) + POPULARITY_SHARE * popularity(id);
  const sums = new Map<string, number>();
  if (!isLexical) for (const [id, cosine] of cosines) if (cosine >= NEAR_MIN) sums.set(id, rest(id));
  for (const { product_id, score, isTitle } of words)
    sums.set(product_id, isTitle ? 1 : Math.min(1, WORDS_SHARE * score + rest(product_id)));
  return best(sums, limit);
}

/** Number of candidates per list, so that there are more to choose from than requested. */
export function candidates(limit: number): number {
  return Math.min(Math.max(3 * limit, 60), 2_000);
}

/** On ties the lower id comes first, so that the same request gets the same answer. */
function best(sums: ReadonlyMap<string, number>, limit: number): Scored[] {
  return [...sums]
    .map(([product_id, score]) => ({ product_id, score }))
    .sort((a, b) => b.score - a.score || (a.product_id < b.product_id ? -1 : 1))
    .slice(0, limit);
}
