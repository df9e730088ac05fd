/** Answers of models, from a Freshet with the role serving: only it has the indexes in memory. */
import { z } from 'zod';
import { FreshetError, messageOf } from '../runtime/process/errors.js';

/** A running Freshet with the role serving. */
export interface ServingAddress {
  /** http://host:port */
  readonly address: string;
  /** Needed if it requires tokens; role reader or above. */
  readonly token?: string;
}

export interface ModelItems {
  /** Of the model that answered; of popularity with `fallback`. */
  readonly version: number;
  /** Best first. */
  readonly items: readonly { readonly product_id: string; readonly score: number }[];
  /** No model knows the user: these are popular products. */
  readonly fallback?: 'popularity' | undefined;
}

const answer = z.object({
  version: z.number(),
  items: z.array(z.object({ product_id: z.string(), score: z.number() })),
  fallback: z.literal('popularity').optional(),
});
const problem = z.looseObject({ detail: z.string() });
const TIMEOUT_MS = 10_000;

export class ModelClient {
  readonly #at: ServingAddress;

  constructor(at: ServingAddress) {
    this.#at = at;
  }

  recommendations(userId: string, limit: number): Promise<ModelItems> {
    return this.#get(`/v1/users/${encodeURIComponent(userId)}/recommendations?limit=${limit}`);
  }

  /** Null: no model knows the product. */
  async similar(productId: string, limit: number): Promise<ModelItems | null> {
    const path = `/v1/products/${encodeURIComponent(productId)}/similar?limit=${limit}`;
    return await this.#get(path).catch((error: unknown) => {
      if (error instanceof NotFound) return null;
      throw error;
    });
  }

  search(query: string, limit: number): Promise<ModelItems> {
    return this.#get(`/v1/search?q=${encodeURIComponent(query)}&limit=${limit}`);
  }

  async #get(path: string): Promise<ModelItems> {
    const { address, token } = this.#at;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    let response: Response;
    let body: unknown;
    try {
      response = await fetch(address.replace(/\/$/, '') + path, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
      body = await response.json();
    } catch (error) {
      throw new FreshetError('connection', `${address} does not answer: ${messageOf(error)}`, { cause: error });
    }
    if (response.ok) return answer.parse(body);
    const { data } = problem.safeParse(body);
    const sentence = data?.detail ?? `${address} answered ${response.status}.`;
    if (response.status === 404) throw new NotFound('invalid_data', sentence);
    if (response.status === 401 || response.status === 403) throw new FreshetError('access', sentence);
    throw new FreshetError(response.status >= 500 ? 'unavailable' : 'invalid_data', sentence);
  }
}

class NotFound extends FreshetError {}
