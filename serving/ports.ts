/** The dependencies of serving: everything behind the HTTP surface, as ports, so that tests can provide their own. */
import type { Skips } from '../ingest/skips.js';
import type { Runs } from '../jobs/runs.js';
import type { LiveAudits } from '../publishing/audit/compose.js';
import type { ErasureReader } from '../publishing/erasure/erasure-reader.js';
import type { FeatureReader } from '../publishing/reading/reader.js';
import type { Versions } from '../publishing/versions/versions.js';
import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import type { Queryable } from '../runtime/stores/database.js';
import type { Codec } from '../schemas/codec.js';
import type { RunningSets } from '../topics/running.js';
import type { ModelAnswers } from './models/answers.js';
import type { HttpSettings } from './settings.js';

/** Published features: the part of their reader that the routes use. */
export type FeatureReaders = Pick<
  FeatureReader,
  | 'popular'
  | 'popularity'
  | 'popularities'
  | 'affinity'
  | 'affinities'
  | 'interactions'
  | 'catalogue'
  | 'stopwords'
  | 'stopwordLanguages'
>;

/** Published versions: listed and switched, never made here. */
export type VersionSwitch = Pick<Versions, 'list' | 'promote' | 'rollback' | 'pin'>;

/** The state of erasure requests. */
export type Erasures = Pick<ErasureReader, 'status'>;

/** Offsets that were given up. */
export type SkipOrders = Pick<Skips, 'list' | 'request'>;

/** Comparisons of served values with the raw log. */
export type Audits = Pick<LiveAudits, 'auditor' | 'begin' | 'get'>;

/** What the page shows; the assembly of the process provides it. Lags are in records. */
export interface Overview {
  readonly mode: { readonly log: string; readonly online_store: string; readonly database: string };
  readonly demo: boolean;
  readonly uptime_seconds: number;
  readonly events: { readonly total: number; readonly rate_per_second: number };
  readonly lag: {
    readonly activity: number;
    readonly popularity: number;
    readonly corpus: number;
    readonly embeddings: number;
    readonly redis: number;
    readonly postgres: number;
  };
  /** Null where another process publishes; a store's is null until a first change has arrived. */
  readonly freshness_ms: { readonly redis: number | null; readonly postgres: number | null } | null;
  /** Null where another process counts. */
  readonly intake: {
    readonly counted: number;
    readonly duplicate: number;
    readonly late: number;
    readonly dead_letter: number;
  } | null;
}

/** What the overview showed at one time (ms). */
export interface OverviewSample extends Pick<Overview, 'lag' | 'freshness_ms'> {
  readonly at: number;
  readonly rate_per_second: number;
}

export interface Readiness {
  readonly ready: boolean;
  /** Names of what it is waiting for; empty when ready. Anyone may see them. */
  readonly waiting: readonly string[];
  /** Why, by name, where there is a reason. May contain addresses and paths: only for callers with access. */
  readonly reasons?: Readonly<Record<string, string>>;
}

export interface ServingOptions {
  /** Versions of the applications that run. */
  readonly sets: RunningSets;
  readonly log: Log;
  readonly database: Queryable;
  readonly readers: FeatureReaders;
  readonly models: ModelAnswers;
  readonly erasures: Erasures;
  readonly skips: SkipOrders;
  readonly versions: VersionSwitch;
  readonly runs: Runs;
  /** Null or missing if the process has no stores to compare. */
  readonly audits?: Audits | null;
  readonly codec: Codec;
  readonly settings: HttpSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** The token of commands on this machine, if tokens are required. */
  readonly localToken?: string;
  readonly isReady: () => Readiness;
  readonly overview: () => Promise<Overview>;
  /** Oldest first. */
  readonly overviewHistory: () => readonly OverviewSample[];
}
