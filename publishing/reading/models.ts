/**
 * What models need from the stores: a user's factors in one version of the model, the user's purchases, and the
 * products deleted since the version was built. Version and factors belong together because the version is read once
 * and is part of the key: a reader that has loaded a version's index asks for factors of exactly that version.
 */
import { FreshetError, isTransient } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { checksumKey } from '../../runtime/stores/versioned-keys.js';
import { featureSet } from '../../topics/feature-set.js';
import { HOUR_MS } from '../../topics/time.js';
import { Layout } from '../layout.js';
import { type StoredInteractions, storedInteractions } from '../sinks/interactions-row.js';
import { rowOf } from '../versions/artefacts/factor-rows.js';
import { factorsOfText } from '../versions/artefacts/factors-text.js';
import { PIN_SETTINGS, type Pinned } from '../versions/pins.js';
import { Pointer } from './pointer.js';

interface UserFactors {
  readonly version: number;
  /** Null: the model does not know the user, or was built before the user's erasure was requested. */
  readonly factors: Float32Array | null;
}

/** Errors: FreshetError 'unavailable' before the first publication and for an unknown version; the stores' own. */
export interface ModelReader {
  /** Of `version`, by default the pinned one, otherwise the current one. */
  userFactors(userId: string, version?: number): Promise<UserFactors>;
  /** Products that the user bought within the window, among the 1,000 heaviest; empty for an unknown user. */
  purchasedOf(userId: string): Promise<ReadonlySet<string>>;
  /** All interactions of the user, heaviest first; null for an unknown user. */
  interactionsOf(userId: string): Promise<StoredInteractions | null>;
  /** Which of these products were deleted and not added again; any number of ids, one request to the online store. */
  deletedOf(productIds: readonly string[]): Promise<ReadonlySet<string>>;
}

interface ModelReaderOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  /** The setting REDIS_KEY_PREFIX. */
  readonly keyPrefix: string;
  /** Versions to read instead of the current ones: `pinnedBy(settings)`. */
  readonly pinned?: Pinned;
}

/** Longest time between an erasure request and the deletion in the models' input topic; usually far less. */
const FORGETTING_MS_MAX = HOUR_MS;

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
  /** By version: when the interactions it was built from were read, ms. This never changes. */
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
      throw new FreshetError('unavailable', 'No model is published yet: "freshet snapshot als" builds one.');
    const online = await this.#online(chosen, userId);
    if (online !== 'absent') return { version: chosen, factors: online };
    return { version: chosen, factors: await this.#stored(chosen, userId) };
  }

  async #stored(version: number, userId: string): Promise<Float32Array | null> {
    const capturedMs = await this.#captured(version);
    // A NUL in a parameter is an error in Postgres; no id contains one.
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
      // The checksum is deleted first and written last: if it exists, the version is whole.
      const checksum = await this.#store.get(checksumKey(layout.versioned('als'), version));
      return checksum === null ? 'absent' : null;
    } catch (error) {
      if (!isTransient(error)) throw error;
      return 'absent';
    }
  }

  /** Throws FreshetError('unavailable') for a version that does not exist. */
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
      throw new FreshetError('unavailable', 'No interactions are published yet: start the publisher first.');
    const keys = this.#layout.features(featureSet(version));
    const text = await this.#store.get(keys.interactionsUser(userId));
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
  return new FreshetError('unavailable', `${name} is no such version of als (${version}), or it is no longer kept.`);
}

const ERASED = 'SELECT requested_at FROM erased_subjects WHERE subject = $1';

const CAPTURED = `
SELECT manifest->'inputs' AS inputs FROM versions
WHERE artefact = 'als' AND version = $1 AND state IN ('verified', 'current', 'retired') AND reaped_at IS NULL`;
