/**
 * Keys of the online store. Readers and writers both use these; those of one version of the live features are named in
 * topics/feature-set.ts, as their tables are.
 */
import type { VersionedKeys } from '../runtime/stores/versioned-keys.js';
import type { FeatureKeys, FeatureSet } from '../topics/feature-set.js';

/** Ids and categories are percent-encoded in keys, so that a colon in an id cannot reach into another key. */
export function encodeId(id: string): string {
  return encodeURIComponent(id);
}

export const ARTEFACTS = ['popularity', 'affinity', 'interactions', 'als', 'faiss', 'stopwords'] as const;
export type Artefact = (typeof ARTEFACTS)[number];

/** The id that encodeId encoded. */
export function decodeId(encoded: string): string {
  return decodeURIComponent(encoded);
}

/**
 * The score of a product in a sorted set: `log2(S) + as_of/H`. Time alone changes no order, so the score is valid until
 * the next event. An S that underflowed to 0 (90 days at a half-life of an hour) ranks as the smallest number: not
 * every store allows -Infinity in a sorted set.
 */
export function rankScore(score: number, asOfMs: number, halfLifeMs: number): number {
  return Math.log2(Math.max(score, Number.MIN_VALUE)) + asOfMs / halfLifeMs;
}

/** The popularity S at `nowMs`, within the UTC day of the row's as_of. */
export function popularityAt(rank: number, nowMs: number, halfLifeMs: number): number {
  return 2 ** (rank - nowMs / halfLifeMs);
}

/** Keys of one version of the live features, as the store has them. */
export interface LiveKeys extends FeatureKeys {
  popularityCategory(category: string): string;
  affinityUser(userId: string): string;
  interactionsUser(userId: string): string;
}

/** Keys of one deployment; `prefix` is the setting REDIS_KEY_PREFIX. */
export class Layout {
  readonly #prefix: string;

  constructor(prefix = '') {
    this.#prefix = prefix;
  }

  /** String: the current version's number. */
  currentVersion(artefact: Artefact): string {
    return `${this.#prefix}meta:${artefact}:current`;
  }

  /** String: the token of the switch that made it current, `<timeline>.<seq>`. */
  versionSequence(artefact: Artefact): string {
    return `${this.#prefix}meta:${artefact}:seq`;
  }

  /** String: JSON settings a reader needs to interpret a version, e.g. {"half_life_ms"}. */
  versionSettings(artefact: Artefact, version: number): string {
    return `${this.#prefix}meta:${artefact}:v${version}:settings`;
  }

  /** Hash version → checksum: every version with data in the store, also one that is not complete yet. */
  versionIndex(artefact: Artefact): string {
    return `${this.#prefix}meta:${artefact}:versions`;
  }

  /** How the store switches the versions of an artefact. Only stopwords have key names without a version number. */
  versioned(artefact: Artefact): VersionedKeys {
    return {
      current: this.currentVersion(artefact),
      token: this.versionSequence(artefact),
      noted: `${this.#prefix}meta:${artefact}:v`,
      plain: artefact === 'stopwords' ? { prefix: `${this.#prefix}stopwords:`, parts: 'languages' } : null,
    };
  }

  features({ keys }: FeatureSet): LiveKeys {
    const prefix = this.#prefix;
    const popularityCategoryPrefix = prefix + keys.popularityCategoryPrefix;
    const affinityUserPrefix = prefix + keys.affinityUserPrefix;
    const interactionsUserPrefix = prefix + keys.interactionsUserPrefix;
    return {
      popularityAll: prefix + keys.popularityAll,
      popularityCategoryPrefix,
      popularityCategory: (category) => popularityCategoryPrefix + encodeId(category),
      popularityGroups: prefix + keys.popularityGroups,
      popularityDay: prefix + keys.popularityDay,
      affinityUserPrefix,
      affinityUser: (userId) => affinityUserPrefix + encodeId(userId),
      affinityAsOf: prefix + keys.affinityAsOf,
      interactionsUserPrefix,
      interactionsUser: (userId) => interactionsUserPrefix + encodeId(userId),
    };
  }

  /** The part before the encoded subject in the key of its erasure. */
  erasedPrefix(): string {
    return `${this.#prefix}erased:`;
  }

  /** String: when erasure of the subject, `user:<id>` or `product:<id>`, was last requested, ms. */
  erased(subject: string): string {
    return this.erasedPrefix() + encodeId(subject);
  }

  /** Hash product → '1': products that were deleted and not added again. */
  deletedProducts(): string {
    return `${this.#prefix}deleted:products`;
  }

  /** The part before the encoded user in the key of their factors. */
  factorsUserPrefix(version: number): string {
    return `${this.#prefix}als:v${version}:user:`;
  }

  /** String: base64 of one user's factors, float32 little endian. */
  factorsUser(version: number, userId: string): string {
    return this.factorsUserPrefix(version) + encodeId(userId);
  }
}
