/**
 * Everything that contains the number of one version of the features application (popularity, affinity, interactions).
 * Versions may fold the same log at the same time and share none of these names. Names without a number (topics of
 * producers, dead letters, erased subjects, deleted products) belong to no set.
 */
import type { ApplicationSet } from './application-set.js';
import { type FeatureTopics, featureTopics } from './features.js';

/** The names of a group of sinks. */
export interface SinkNames {
  /** In the stores, which keep the position of each partition under this name. */
  readonly sink: string;
  /** In the log: the group that assigns the partitions and shows their offsets for lag displays. */
  readonly group: string;
}

/** Keys of the online store, without the prefix of a deployment (`Layout.features` adds it). */
export interface FeatureKeys {
  /** Sorted set of all products; the score is the rankScore. */
  readonly popularityAll: string;
  /** The part before the encoded category in the key of its sorted set. */
  readonly popularityCategoryPrefix: string;
  /** Hash product → encoded category. */
  readonly popularityGroups: string;
  /** Hash product → UTC day (days since 1970) of its row's as_of. */
  readonly popularityDay: string;
  /** The part before the encoded user in the key of their hash category → score. */
  readonly affinityUserPrefix: string;
  /** Hash user → as_of of its row, ms. */
  readonly affinityAsOf: string;
  /** The part before the encoded user in the key of their interactions: JSON in the format of sinks/interactions-row.ts. */
  readonly interactionsUserPrefix: string;
}

/** Tables of Postgres; the SQL function `create_live_tables` makes them. */
export interface FeatureTables {
  /** product_id, category, score, as_of, views, add_to_carts, purchases. */
  readonly popularity: string;
  /** user_id, as_of, scores jsonb. */
  readonly affinity: string;
}

export interface FeatureSet extends ApplicationSet<FeatureTopics> {
  readonly sinks: { readonly redis: SinkNames; readonly postgres: SinkNames };
  readonly keys: FeatureKeys;
  readonly tables: FeatureTables;
}

/** Readers use it at every request; there are as many values as there have been replays. */
const made = new Map<number, FeatureSet>();

/** Version n of the features application; always the same object for the same n. */
export function featureSet(version: number): FeatureSet {
  let set = made.get(version);
  if (set === undefined) {
    set = makeSet(version);
    made.set(version, set);
  }
  return set;
}

function makeSet(version: number): FeatureSet {
  const application = `features.v${version}`;
  return {
    version,
    application,
    topics: featureTopics(version, application),
    sinks: { redis: sinkNames(`${application}.redis`), postgres: sinkNames(`${application}.postgres`) },
    keys: {
      popularityAll: `popularity:v${version}:all`,
      popularityCategoryPrefix: `popularity:v${version}:cat:`,
      popularityGroups: `popularity:v${version}:category`,
      popularityDay: `popularity:v${version}:day`,
      affinityUserPrefix: `affinity:v${version}:user:`,
      affinityAsOf: `affinity:v${version}:as_of`,
      interactionsUserPrefix: `interactions:v${version}:user:`,
    },
    tables: { popularity: `product_popularity_v${version}`, affinity: `user_affinity_v${version}` },
  };
}

export function sinkNames(sink: string): SinkNames {
  return { sink, group: `${sink}-sink` };
}
