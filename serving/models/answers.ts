/**
 * What models answer: similar products, recommendations, search. A request takes one version of each model it needs at
 * its beginning and asks no other. What one model cannot say now the other one, or popularity, says instead where that
 * is an answer; where it is not, a 503 says what is missing.
 */
import type { ModelReader } from '../../publishing/models.js';
import type { Clock } from '../../runtime/clock.js';
import type { Embedder } from '../../runtime/embedder/embedder.js';
import { hasCode, isTransient } from '../../runtime/errors.js';
import type { FaissVersion } from '../../snapshotters/faiss/faiss-version.js';
import type { FeatureReaders } from '../ports.js';
import { Problem } from '../problem.js';
import { blendSearch, blendSimilar, candidates, type Popularity, type Scored } from './blend.js';
import type { FactorVersion } from './factor-version.js';
import { KeptFresh } from './kept-fresh.js';
import { QueryWords } from './query-words.js';
import type { Lease, Slot } from './slot.js';

export type ModelArtefact = 'als' | 'faiss' | 'popularity';

export interface ModelAnswer {
  /** Of what the answer mainly comes from: als (recommendations), faiss (similar, search), popularity (a fallback). */
  readonly version: number;
  readonly items: readonly Scored[];
  readonly fallback?: 'popularity';
  /** Every version that was read. */
  readonly reads: Readonly<Partial<Record<ModelArtefact, number>>>;
}

/** Limits are 1 to 1000. */
export interface ModelAnswers {
  /** Never a 404: who is unknown gets popular products. */
  recommendations(userId: string, limit: number, includeSeen: boolean): Promise<ModelAnswer>;
  /** Null: no model knows the product. */
  similar(productId: string, limit: number): Promise<ModelAnswer | null>;
  search(query: string, limit: number): Promise<ModelAnswer>;
}

export interface AnswersOptions {
  readonly als: Slot<FactorVersion>;
  readonly faiss: Slot<Pick<FaissVersion, 'model' | 'search' | 'similar' | 'close'>>;
  readonly reader: Pick<ModelReader, 'userFactors' | 'purchasedOf'>;
  readonly readers: Pick<FeatureReaders, 'popular' | 'stopwords' | 'stopwordLanguages'>;
  /** Turns queries into vectors; opened with the first one. */
  readonly embedder: () => Promise<Pick<Embedder, 'model' | 'embed'>>;
  readonly clock: Pick<Clock, 'elapsed'>;
}

const POPULAR_MAX = 1_000;
const POPULAR_AGE_MS = 5_000;
const RETRY_S = 1;

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
      const items = await lease.model.recommend(factors, limit, leftOut);
      return { version: lease.version, items, reads: { als: lease.version } };
    } catch (error) {
      // Its index is being started again, or the version was taken away under us: popular products are an answer too.
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
      const wanted = candidates(limit);
      const lists = await Promise.allSettled([
        faiss?.model.similar(productId, wanted) ?? null,
        als?.model.similar(productId, wanted) ?? null,
      ]);
      const [text, behaviour] = lists.map(listOf) as [Said, Said];
      if (text.list === null && behaviour.list === null) {
        const down = text.error ?? behaviour.error;
        if (down !== null) throw restarting(down);
        return null;
      }
      const answered = text.list === null && als !== null ? als : main;
      return {
        version: answered.version,
        items: blendSimilar(text.list, behaviour.list, limit),
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
      const [vector, popularity] = await Promise.all([
        this.#words.searchedFor(query).then((text) => embedder.embed([text])),
        // Without it, what fits best stands first.
        this.#popularity.get().catch(() => ({ scores: new Map<string, number>(), best: 0 })),
      ]);
      const found = await model.search(vector, candidates(limit));
      return { version, items: blendSearch(found, popularity, limit), reads: { faiss: version } };
    } catch (error) {
      throw isTransient(error) ? restarting(error) : error;
    } finally {
      lease.release();
    }
  }

  /** Before interactions are published nobody is known to have bought anything. */
  async #purchased(userId: string): Promise<ReadonlySet<string>> {
    try {
      return await this.#o.reader.purchasedOf(userId);
    } catch (error) {
      if (!hasCode(error, 'unavailable')) throw error;
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

interface Said {
  readonly list: readonly Scored[] | null;
  /** Why it could not say anything now. */
  readonly error: Error | null;
}

/** Throws what no waiting will cure. */
function listOf(result: PromiseSettledResult<readonly Scored[] | null>): Said {
  if (result.status === 'fulfilled') return { list: result.value, error: null };
  if (!isTransient(result.reason)) throw result.reason;
  return { list: null, error: result.reason as Error };
}

function readOf(artefact: ModelArtefact, lease: Lease<unknown> | null, { list }: Said) {
  return list === null || lease === null ? {} : { [artefact]: lease.version };
}

async function popularityOf(readers: Pick<FeatureReaders, 'popular'>): Promise<Popularity> {
  const { items } = await readers.popular(null, POPULAR_MAX);
  const scores = new Map(items.map(({ productId, score }) => [productId, score]));
  return { scores, best: Math.max(0, ...scores.values()) };
}

function unpublished(what: string, artefact: string): Problem {
  return new Problem(
    503,
    `There is no index for ${what} yet, or it is still being loaded: "freshet versions list ${artefact}" shows what is published, "freshet snapshot ${artefact}" makes the first version.`,
    { retryAfterS: 5 },
  );
}

function restarting(cause: unknown): Problem {
  return new Problem(503, 'The search index is busy or being started again. Try again in a second.', {
    cause,
    retryAfterS: RETRY_S,
  });
}

function otherModel(version: number, indexed: string, own: string): Problem {
  return new Problem(
    503,
    `Version ${version} of the index was made with the model ${indexed}, and this process has ${own}: vectors of two models cannot be compared. Set EMBEDDING_MODEL_DIR alike everywhere, or run "freshet snapshot faiss" once products are embedded anew.`,
    { retryAfterS: 60 },
  );
}
