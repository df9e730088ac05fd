/**
 * Brings the live features into the stores, as one service: for each set its version and two groups of sinks, and once the
 * groups of what has no version.
 */
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import { isTransient, messageOf } from '../../runtime/process/errors.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import { type Service, startAll, stopAll } from '../../runtime/process/service.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import type { Codec } from '../../schemas/codec.js';
import type { FeatureSet, SinkNames } from '../../topics/feature-set.js';
import { Layout } from '../layout.js';
import type { PublishingSettings } from '../settings.js';
import { affinityOnline, affinityRows } from '../sinks/affinity.js';
import type { OnlineSink, TableSink } from '../sinks/declaration.js';
import { deletedOnline } from '../sinks/deleted.js';
import { erasedOnline, erasedRows } from '../sinks/erased.js';
import { SHARED_ONLINE, SHARED_TABLES } from '../sinks/groups.js';
import { interactionsOnline } from '../sinks/interactions.js';
import { popularityOnline, popularityRows } from '../sinks/popularity.js';
import { onlineSinkStore } from '../sinks/sink-store.js';
import { tableSinkStore } from '../sinks/table-sink-store.js';
import { catalogueRows, deadLetterRows, userRows } from '../sinks/tables.js';
import { nothingStaged } from '../versions/follow.js';
import { installLiveVersion, LIVE_ARTEFACTS, versionSettings } from '../versions/live-version.js';
import { Reconciler } from '../versions/reconcile.js';
import { Releases } from '../versions/releases.js';
import { Applied } from './applied.js';
import { DeadLetterWriter } from './dead-letters.js';
import { type GroupSink, Materialiser, type SinkProgress } from './materialise.js';
import type { SinkPace, StuckSink } from './partition-sink.js';

export interface PublisherOptions {
  readonly log: Log;
  readonly store: OnlineStore;
  readonly database: Database;
  readonly codec: Codec;
  readonly settings: PublishingSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Versions of the features application. */
  readonly sets: readonly FeatureSet[];
  /** Shorter waits for tests. */
  readonly pace?: Partial<Pick<SinkPace, 'checkMs' | 'backoffMs'>>;
}

export interface Publisher extends Service {
  /**
   * Resolves when every sink of the topic has applied all records below the offsets, whichever process owns them.
   * Rejects with the signal's reason, and at once for a topic that no sink reads.
   */
  awaitApplied(
    topic: string,
    ends: readonly { readonly partition: number; readonly offset: number }[],
    signal?: AbortSignal,
  ): Promise<void>;
  /** Positions of the partitions owned by this process. */
  positions(): SinkProgress[];
  /** Partitions owned by this process whose sinks fail again and again. */
  stuck(): StuckSink[];
}

const CHECK_MS = 1_000;
const MIB = 1024 * 1024;
const WAITS = { checkMs: CHECK_MS, backoffMs: { first: 100, most: 5_000 } };

/** Redis runs one batch at a time, and a larger one blocks all readers meanwhile (2,000 rows took up to 90 ms). */
export const ONLINE_PACE: SinkPace = {
  ...WAITS,
  rowsMax: 500,
  pressedRowsMax: 1_000,
  batchBytesMax: 4 * MIB,
  waitingBytesMax: 32 * MIB,
  lingerMs: 0,
};

/** Readers of Postgres do not wait for a statement: under pressure one statement may take seconds' worth of records. */
export const TABLE_PACE: Omit<SinkPace, 'lingerMs'> = {
  ...WAITS,
  rowsMax: 5_000,
  pressedRowsMax: 20_000,
  batchBytesMax: 32 * MIB,
  waitingBytesMax: 96 * MIB,
};

/** Migrations and topics must be applied before start. */
export function createPublisher(options: PublisherOptions): Publisher {
  return new LivePublisher(options);
}

class LivePublisher implements Publisher {
  readonly name = 'publisher';
  readonly #o: PublisherOptions;
  readonly #letters: DeadLetterWriter;
  readonly #applied: Applied;
  readonly #groups: readonly Materialiser[];
  readonly #releases: Releases;
  /** For the heads of the live features only, so that they are current wherever their sinks run. */
  readonly #reconciler: Reconciler;

  constructor(options: PublisherOptions) {
    const { log, codec, clock, settings, sets, store, database, logger, metrics, events } = options;
    const layout = new Layout(settings.REDIS_KEY_PREFIX);
    this.#o = options;
    this.#releases = new Releases(log, codec);
    this.#reconciler = new Reconciler({
      place: { database, store, layout, clock, logger, metrics, events },
      releases: this.#releases,
      restage: nothingStaged,
      artefacts: LIVE_ARTEFACTS,
      checkMs: options.pace?.checkMs ?? CHECK_MS,
    });
    this.#letters = new DeadLetterWriter(log, codec, clock);
    this.#groups = [...sets.flatMap((set) => this.#groupsOf(set, layout)), ...this.#sharedGroups(layout)];
    this.#applied = new Applied(this.#groups, clock);
  }

  /**
   * Throws FreshetError: 'settings' for a changed half-life, 'connection' if Postgres cannot be reached. If the online
   * store is down, it is retried in the background, as at any later time.
   */
  async start(): Promise<void> {
    const { database, sets, settings, clock } = this.#o;
    for (const set of sets) await installLiveVersion(database, set, settings, clock.now());
    try {
      await this.#reconciler.look();
    } catch (error) {
      if (!isTransient(error)) throw error;
      this.#o.logger.warn({ event: 'reconcile_failed', error: messageOf(error) }, 'Reconciling failed; retrying');
    }
    await startAll([...this.#groups, this.#reconciler]);
  }

  async stop(): Promise<void> {
    this.#applied.close();
    await stopAll([...this.#groups, this.#reconciler]);
    await this.#releases.close();
    await this.#letters.close();
  }

  awaitApplied(
    topic: string,
    ends: readonly { readonly partition: number; readonly offset: number }[],
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#applied.wait(topic, ends, signal);
  }

  stuck(): StuckSink[] {
    return this.#groups.flatMap((group) => group.stuck());
  }

  positions(): SinkProgress[] {
    return this.#groups.flatMap((group) => group.positions());
  }

  #groupsOf(set: FeatureSet, layout: Layout): Materialiser[] {
    const halfLifeMs = versionSettings('popularity', this.#o.settings).half_life_ms;
    return [
      this.#group(set.sinks.redis, ONLINE_PACE, [
        this.#online(popularityOnline(set, layout, halfLifeMs)),
        this.#online(affinityOnline(set, layout)),
        this.#online(interactionsOnline(set, layout)),
      ]),
      this.#group(set.sinks.postgres, this.#tablePace(), [
        this.#table(popularityRows(set)),
        this.#table(affinityRows(set)),
      ]),
    ];
  }

  /** Of what has no version. */
  #sharedGroups(layout: Layout): Materialiser[] {
    return [
      this.#group(SHARED_ONLINE, ONLINE_PACE, [
        this.#online(erasedOnline(layout)),
        this.#online(deletedOnline(layout)),
      ]),
      this.#group(SHARED_TABLES, this.#tablePace(), [
        this.#table(catalogueRows),
        this.#table(userRows),
        this.#table(deadLetterRows),
        this.#table(erasedRows),
      ]),
    ];
  }

  #group(names: SinkNames, pace: SinkPace, sinks: readonly GroupSink[]): Materialiser {
    const { log, codec, clock, logger, metrics, events } = this.#o;
    return new Materialiser({
      ...names,
      sinks,
      log,
      codec,
      clock,
      logger,
      metrics,
      events,
      letters: this.#letters,
      incarnationOf: (topic) => log.admin.topicId(topic),
      pace: { ...pace, ...this.#o.pace },
      advanced: () => this.#applied.changed(),
    });
  }

  #tablePace(): SinkPace {
    return { ...TABLE_PACE, lingerMs: this.#o.settings.POSTGRES_COALESCE_MS };
  }

  #online<Value>(sink: OnlineSink<Value>): GroupSink {
    return { topic: sink.topic, store: onlineSinkStore(this.#o.store, sink), forgetsUnseen: true };
  }

  #table<Value>(sink: TableSink<Value>): GroupSink {
    const store = tableSinkStore(this.#o.database, sink);
    return { topic: sink.topic, store, forgetsUnseen: sink.forgetsUnseen };
  }
}
