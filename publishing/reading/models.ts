/**
 * What models ask of the stores: a user's factors in one version of the model, what the user has bought, and which
 * products were deleted since the version was made.
 * Version and factors belong together because the version is taken once and stands in the key; whoever has loaded a
 * version's index asks for factors of that very version.
 */
import { FreshetError, isTransient } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { checksumKey } from '../../runtime/stores/versioned-keys.js';
import { Layout } from '../layout.js';
import { type StoredInteractions, storedInteractions } from '../sinks/interactions-row.js';
import { rowOf } from '../versions/artefacts/factor-rows.js';
import { factorsOfText } from '../versions/artefacts/factors-text.js';
import { PIN_SETTINGS, type Pinned } from '../versions/pins.js';
import { Pointer } from './pointer.js';

export interface UserFactors {
  readonly version: number;
  /** Null: the model knows nothing of the user, or was made before the user asked to be forgotten. */
  readonly factors: Float32Array | null;
}

/** Errors: FreshetError 'unavailable' before the first publication and for a version that is not there; the stores' own. */
export interface ModelReader {
  /** Of `version`, by default the pinned one, else the current one. */
  userFactors(userId: string, version?: number): Promise<UserFactors>;
  /** Products that the user has bought within the window, of the 1,000 heaviest; empty for an unknown user. */
  purchasedOf(userId: string): Promise<ReadonlySet<string>>;
  /** All that is known of the user, heaviest first; null for an unknown one. */
  interactionsOf(userId: string): Promise<StoredInteractions | null>;
  /** Which of these products were deleted and not put again; any number of ids, one question to the online store. */
  deletedOf(productIds: readonly string[]): Promise<ReadonlySet<string>>;
}

export interface ModelReaderOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  /** The setting REDIS_KEY_PREFIX. */
  readonly keyPrefix: string;
  /** Versions to read instead of the current ones: `pinnedBy(settings)`. */
  readonly pinned?: Pinned;
}

/** Between the request to forget somebody and the deletion in the topic that models are made of: far less, mostly. */
const FORGETTING_MS_MAX = 3_600_000;

export function createModelReader(options: ModelReaderOptions): ModelReader {
  return new StoredModels(options);
}

class StoredModels implements ModelReader {
  readonly #store: OnlineStore;
  readonly #database: Queryable;
  readonly #layout: Layout;
  readonly #pinned: Pinned;
  readonly #als: Pointer;
  readonly #interactions: Pointer;
  /** By version: when the interactions that it was made of were read, ms. It never changes. */
  readonly #madeOf = new Map<number, number>();

  constructor({ store, database, keyPrefix, pinned = {} }: ModelReaderOptions) {
    this.#store = store;
    this.#database = database;
    this.#layout = new Layout(keyPrefix);
    this.#pinned = pinned;
    this.#als = new Pointer('als', store, database, this.#layout, pinned.als ?? null);
    this.#interactions = new Pointer('interactions', store, database, this.#layout, pinned.interactions ?? null);
  }

  async userFactors(userId: string, version?: number): Promise<UserFactors> {
    const chosen = version ?? (await this.#als.version());
    if (chosen === null)
      throw new FreshetError('unavailable', 'No model is published yet: "freshet snapshot als" makes one.');
    const online = await this.#online(chosen, userId);
    if (online !== 'absent') return { version: chosen, factors: online };
    return { version: chosen, factors: await this.#stored(chosen, userId) };
  }

  async #stored(version: number, userId: string): Promise<Float32Array | null> {
    const capturedMs = await this.#captured(version);
    // A NUL in a parameter is an error to Postgres; no id holds one.
    if (userId.includes('\0')) return null;
    const [erased] = await this.#database.query<{ requested_at: Date }>(ERASED, [`user:${userId}`]);
    if (erased !== undefined && isForgotten(capturedMs, erased.requested_at.getTime())) return null;
    return rowOf(this.#database, version, 'als_user_factors', userId);
  }

  /** `absent`: the online store does not have that version, or does not answer. */
  async #online(version: number, userId: string): Promise<Float32Array | null | 'absent'> {
    const layout = this.#layout;
    try {
      const [text, erasedAt] = await Promise.all([
        this.#store.get(layout.factorsUser(version, userId)),
        this.#store.get(layout.erased(`user:${userId}`)),
      ]);
      if (erasedAt !== null && isForgotten(await this.#captured(version), Number(erasedAt))) return null;
      if (text !== null) return factorsOfText(text);
      // The checksum is the first that goes and the last that comes: with it the version is whole.
      const checksum = await this.#store.get(checksumKey(layout.versioned('als'), version));
      return checksum === null ? 'absent' : null;
    } catch (error) {
      if (!isTransient(error)) throw error;
      return 'absent';
    }
  }

  /** Throws FreshetError('unavailable') for a version that is not there. */
  async #captured(version: number): Promise<number> {
    const known = this.#madeOf.get(version);
    if (known !== undefined) return known;
    const [row] = await this.#database.query<{ inputs: { at: string }[] | null }>(CAPTURED, [version]);
    if (row === undefined) throw missing(version, this.#pinned.als);
    const at = (row.inputs ?? []).reduce((least, input) => Math.min(least, Date.parse(input.at)), Infinity);
    this.#madeOf.set(version, at);
    return at;
  }

  async purchasedOf(userId: string): Promise<ReadonlySet<string>> {
    const stored = await this.interactionsOf(userId);
    return new Set(stored?.items.filter(({ purchases }) => purchases > 0).map(({ productId }) => productId));
  }

  async interactionsOf(userId: string): Promise<StoredInteractions | null> {
    const version = await this.#interactions.version();
    if (version === null)
      throw new FreshetError(
        'unavailable',
        'Nothing is published as interactions yet: the publisher has to start first.',
      );
    const text = await this.#store.get(this.#layout.interactionsUser(version, userId));
    return text === null ? null : storedInteractions(text);
  }

  async deletedOf(productIds: readonly string[]): Promise<ReadonlySet<string>> {
    const noted = await this.#store.hmget(this.#layout.deletedProducts(), productIds);
    return new Set(productIds.filter((_, i) => noted[i] !== null));
  }
}

function isForgotten(capturedMs: number, erasedMs: number): boolean {
  return capturedMs <= erasedMs + FORGETTING_MS_MAX;
}

function missing(version: number, pinned: number | undefined): FreshetError {
  const name = version === pinned ? `${PIN_SETTINGS.als} is ${version}: there` : `There`;
  return new FreshetError('unavailable', `${name} is no such version of als (${version}), or it is kept no longer.`);
}

const ERASED = 'SELECT requested_at FROM erased_subjects WHERE subject = $1';

const CAPTURED = `
SELECT manifest->'inputs' AS inputs FROM versions
WHERE artefact = 'als' AND version = $1 AND state IN ('verified', 'current', 'retired') AND reaped_at IS NULL`;
