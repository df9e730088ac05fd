/**
 * Answers from models: similar products, recommendations, search. A request takes one version of each model that it
 * needs when it starts, and uses no other. If one model cannot answer, the other one or popularity answers instead
 * where that makes sense; where it does not, a 503 says what is missing. Products deleted since the version was made
 * are skipped: if too few are left, the model is asked for more.
 */
import type { ModelReader } from '../../publishing/reading/models.js';
import type { FeatureReader } from '../../publishing/reading/reader.js';
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import type { Clock } from '../../runtime/process/clock.js';
import { hasCode, isTransient } from '../../runtime/process/errors.js';
import type { FaissVersion } from '../../snapshotters/faiss/faiss-version.js';
import { Problem } from '../problem.js';
import { blendFound, blendSearch, blendSimilar, candidates, NEAR_MIN, type Popularity, type Scored } from './blend.js';
import type { FactorVersion } from './factor-version.js';
import { KeptFresh } from './kept-fresh.js';
import { QueryWords } from './query-words.js';
import type { Lease, Slot } from './slot.js';

type ModelArtefact = 'als' | 'faiss' | 'popularity';

export interface ModelAnswer {
  /** Of the main source of the answer: als (recommendations), faiss (similar, search), popularity (a fallback). */
  readonly version: number;
  readonly items: readonly Scored[];
  readonly fallback?: 'popularity';
  /** Words of a search that no product has, nor anything like them. */
  readonly unknownWords?: readonly string[];
  /** Every version that was used. */
  readonly reads: Readonly<Partial<Record<ModelArtefact, number>>>;
}

/** Limits are 1 to 1000. */
export interface ModelAnswers {
  /** Never a 404: an unknown user gets popular products. */
  recommendations(userId: string, limit: number, includeSeen: boolean): Promise<ModelAnswer>;
  /** Null: no model knows the product. */
  similar(productId: string, limit: number): Promise<ModelAnswer | null>;
  search(query: string, limit: number): Promise<ModelAnswer>;
}

interface AnswersOptions {
  readonly als: Slot<FactorVersion>;
  readonly faiss: Slot<Pick<FaissVersion, 'model' | 'search' | 'find' | 'similar' | 'close'>>;
  readonly reader: Pick<ModelReader, 'userFactors' | 'purchasedOf' | 'deletedOf'>;
  readonly readers: Pick<FeatureReader, 'popular' | 'stopwords' | 'stopwordLanguages'>;
  /** Turns queries into vectors; opened at the first query. */
  readonly embedder: () => Promise<Pick<Embedder, 'model' | 'embed'>>;
  readonly clock: Pick<Clock, 'elapsed'>;
}

const POPULAR_MAX = 1_000;
const POPULAR_AGE_MS = 5_000;
const RETRY_S = 1;
/** Factor by which the number of candidates grows when too many of the last ones were deleted. */
const ROUND_FACTOR = 4;

export function createAnswers(options: AnswersOptions): ModelAnswers {
  return new Answers(options);
}

class Answers implements ModelAnswers {
  readonly #o: AnswersOptions;
  readonly #words: QueryWords;
  readonly #popularity: KeptFresh<Popularity>;

  constructor(options: AnswersOptions) {
    this.#o = options;
    this.#words = new QueryWords(options.readers, options.clock);
    this.#popularity = new KeptFresh(() => popularityOf(options.readers), options.clock, POPULAR_AGE_MS);
  }

  async recommendations(userId: string, limit: number, includeSeen: boolean): Promise<ModelAnswer> {
    const leftOut = includeSeen ? new Set<string>() : await this.#purchased(userId);
    const lease = this.#o.als.take();
    if (lease === null) return this.#popular(limit, leftOut);
    try {
      const { factors } = await this.#o.reader.userFactors(userId, lease.version);
      if (factors === null) return await this.#popular(limit, leftOut);
      const { model } = lease;
      const { items } = await inRounds(limit, limit, async (wanted) => {
        const found = await model.recommend(factors, wanted, leftOut);
        const left = without(found, await this.#deletedOf(idsOf(found)));
        return { items: left.slice(0, limit), isAll: found.length < wanted };
      });
      return { version: lease.version, items, reads: { als: lease.version } };
    } catch (error) {
      // Its index is restarting, or the version was removed meanwhile: popular products are an answer too.
      if (!isTransient(error)) throw error;
      return await this.#popular(limit, leftOut);
    } finally {
      lease.release();
    }
  }

  async similar(productId: string, limit: number): Promise<ModelAnswer | null> {
    const faiss = this.#o.faiss.take();
    const als = this.#o.als.take();
    try {
      const main = faiss ?? als;
      if (main === null) throw unpublished('similar products', 'faiss');
      const found = await inRounds(limit, candidates(limit), async (wanted) => {
        const lists = await Promise.allSettled([
          faiss?.model.similar(productId, wanted) ?? null,
          als?.model.similar(productId, wanted) ?? null,
        ]);
        const [text, behaviour] = lists.map(listOf) as [Said, Said];
        const known = [text.list, behaviour.list].filter((list) => list !== null);
        const deleted = await this.#deletedOf([productId, ...new Set(known.flatMap(idsOf))]);
        const [textLeft, behaviourLeft] = [text.list, behaviour.list].map((list) => list && without(list, deleted));
        return {
          text,
          behaviour,
          isDeleted: deleted.has(productId),
          items: blendSimilar(textLeft ?? null, behaviourLeft ?? null, limit),
          isAll: known.every((list) => list.length < wanted),
        };
      });
      const { text, behaviour, items } = found;
      if (found.isDeleted) return null;
      if (text.list === null && behaviour.list === null) {
        const down = text.error ?? behaviour.error;
        if (down !== null) throw restarting(down);
        return null;
      }
      const answered = text.list === null && als !== null ? als : main;
      return {
        version: answered.version,
        items,
        reads: { ...readOf('faiss', faiss, text), ...readOf('als', als, behaviour) },
      };
    } finally {
      faiss?.release();
      als?.release();
    }
  }

  async search(query: string, limit: number): Promise<ModelAnswer> {
    const lease = this.#o.faiss.take();
    if (lease === null) throw unpublished('search', 'faiss');
    try {
      const embedder = await this.#o.embedder();
      const { version, model } = lease;
      if (embedder.model !== model.model) throw otherModel(version, model.model, embedder.model);
      const text = await this.#words.searchedFor(query);
      const [vector, popularity] = await Promise.all([
        embedder.embed([text]),
        // Without popularity, the best match ranks first.
        this.#popularity.get().catch(() => ({ scores: new Map<string, number>(), best: 0 })),
      ]);
      const { items, unknown } = await inRounds(limit, candidates(limit), async (wanted) => {
        const near = await model.search(vector, wanted);
        const words = model.find(text, wanted, query);
        const deleted = await this.#deletedOf([...new Set([...idsOf(near), ...idsOf(words?.items ?? [])])]);
        const nearLeft = without(near, deleted);
        if (words === null)
          return { items: blendSearch(nearLeft, popularity, limit), isAll: near.length < wanted, unknown: [] };
        const wordsLeft = words.items.filter(({ product_id }) => !deleted.has(product_id));
        const found = { words: wordsLeft, near: nearLeft, isLexical: isLexical(model.model) };
        // More vectors are asked for only if they could be near enough to be shown.
        const isNearAll = found.isLexical || near.length < wanted || near.at(-1)!.score < NEAR_MIN;
        return {
          items: blendFound(found, popularity, limit),
          isAll: isNearAll && words.items.length < wanted,
          unknown: words.unknown,
        };
      });
      const unknownWords = unknown.length === 0 ? {} : { unknownWords: unknown };
      return { version, items, reads: { faiss: version }, ...unknownWords };
    } catch (error) {
      throw isTransient(error) ? restarting(error) : error;
    } finally {
      lease.release();
    }
  }

  /** Until interactions are published, no purchases are known. */
  async #purchased(userId: string): Promise<ReadonlySet<string>> {
    try {
      return await this.#o.reader.purchasedOf(userId);
    } catch (error) {
      if (!hasCode(error, 'unavailable')) throw error;
      return new Set();
    }
  }

  /** While the online store is unavailable no deletions are known: the model's answer is still useful. */
  async #deletedOf(ids: readonly string[]): Promise<ReadonlySet<string>> {
    try {
      return await this.#o.reader.deletedOf(ids);
    } catch (error) {
      if (!isTransient(error)) throw error;
      return new Set();
    }
  }

  async #popular(limit: number, leftOut: ReadonlySet<string>): Promise<ModelAnswer> {
    const { version, items } = await this.#o.readers.popular(null, limit + leftOut.size);
    return {
      version,
      items: items
        .filter(({ productId }) => !leftOut.has(productId))
        .slice(0, limit)
        .map(({ productId, score }) => ({ product_id: productId, score })),
      fallback: 'popularity',
      reads: { popularity: version },
    };
  }
}

/** The model without a model: its vectors compare letters, which words do better. */
const isLexical = (model: string): boolean => model.startsWith('hashed-');

interface Round {
  readonly items: readonly Scored[];
  /** The models have no more candidates than these. */
  readonly isAll: boolean;
}

/**
 * Asks for more candidates each time until `limit` items are left or the models have no more. It terminates: no index
 * returns more than NEIGHBOURS_MAX.
 */
async function inRounds<T extends Round>(limit: number, first: number, ask: (wanted: number) => Promise<T>) {
  for (let wanted = first; ; wanted *= ROUND_FACTOR) {
    const round = await ask(wanted);
    if (round.items.length >= limit || round.isAll) return round;
  }
}

function idsOf(list: readonly Scored[]): string[] {
  return list.map(({ product_id }) => product_id);
}

function without(list: readonly Scored[], deleted: ReadonlySet<string>): readonly Scored[] {
  return deleted.size === 0 ? list : list.filter(({ product_id }) => !deleted.has(product_id));
}

interface Said {
  readonly list: readonly Scored[] | null;
  /** Why there is no list now. */
  readonly error: Error | null;
}

/** Throws permanent errors. */
function listOf(result: PromiseSettledResult<readonly Scored[] | null>): Said {
  if (result.status === 'fulfilled') return { list: result.value, error: null };
  if (!isTransient(result.reason)) throw result.reason;
  return { list: null, error: result.reason as Error };
}

function readOf(artefact: ModelArtefact, lease: Lease<unknown> | null, { list }: Said) {
  return list === null || lease === null ? {} : { [artefact]: lease.version };
}

async function popularityOf(readers: Pick<FeatureReader, 'popular'>): Promise<Popularity> {
  const { items } = await readers.popular(null, POPULAR_MAX);
  const scores = new Map(items.map(({ productId, score }) => [productId, score]));
  return { scores, best: Math.max(0, ...scores.values()) };
}

function unpublished(what: string, artefact: string): Problem {
  return new Problem(
    503,
    `There is no index for ${what} yet, or it is still loading: "freshet versions list ${artefact}" shows the published versions, "freshet snapshot ${artefact}" makes the first one.`,
    { retryAfterS: 5 },
  );
}

function restarting(cause: unknown): Problem {
  return new Problem(503, 'The search index is busy or restarting. Try again in a second.', {
    cause,
    retryAfterS: RETRY_S,
  });
}

function otherModel(version: number, indexed: string, own: string): Problem {
  return new Problem(
    503,
    `Version ${version} of the index was made with the model ${indexed}, but this process has ${own}: vectors of two models cannot be compared. Use the same EMBEDDING_MODEL_DIR everywhere, or run "freshet snapshot faiss" after products have been embedded again.`,
    { retryAfterS: 60 },
  );
}
