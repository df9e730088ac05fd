/**
 * What the page shows of a running deployment, sampled once a second however many clients read it. Positions of parts
 * in this process are exact; those of other processes come from the offsets that their groups show.
 */
import { featureMetrics } from '../processors/features/metrics.js';
import { sinkMetrics } from '../publishing/live/metrics.js';
import type { Publisher } from '../publishing/live/publisher.js';
import type { Log, TopicPartition } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import type { Application } from '../runtime/tasks/application.js';
import type { Overview, OverviewSample } from '../serving/ports.js';
import { documents, events, products } from '../topics/events.js';
import type { SinkNames } from '../topics/feature-set.js';
import type { RunningSets } from '../topics/running.js';
import type { Settings } from './settings.js';

const SAMPLE_MS = 1_000;
const RATE_SAMPLES = 10;
/** What the page's charts begin with: an hour. */
const HISTORY_INTERVAL_MS = 5_000;
const HISTORY_SAMPLES_MAX = 720;

interface OverviewOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Only the first version of the features is shown. */
  readonly sets: RunningSets;
  readonly demo: boolean;
  readonly settings: Pick<Settings, 'DATABASE_URL'>;
  readonly stores: { readonly store: { readonly kind: string } };
  /** The applications in this process. */
  readonly applications: readonly Pick<Application, 'name' | 'reached'>[];
  readonly publisher: Pick<Publisher, 'positions'> | null;
  readonly isReady: () => boolean;
}

type Sink = 'redis' | 'postgres';

export class OverviewSampler {
  readonly #o: OverviewOptions;
  readonly #startedAt: number;
  readonly #totals: { at: number; events: number }[] = [];
  readonly #delays: Record<Sink, { sum: number; count: number; meanMs: number | null }> = {
    redis: { sum: 0, count: 0, meanMs: null },
    postgres: { sum: 0, count: 0, meanMs: null },
  };
  readonly #history: OverviewSample[] = [];
  #sampledAt = Number.NEGATIVE_INFINITY;
  #sample: Promise<Overview> | null = null;

  constructor(options: OverviewOptions) {
    this.#o = options;
    this.#startedAt = options.clock.elapsed();
  }

  /** A sample that is at most one second old. */
  current(): Promise<Overview> {
    const now = this.#o.clock.elapsed();
    if (this.#sample === null || now - this.#sampledAt >= SAMPLE_MS) {
      this.#sampledAt = now;
      this.#sample = this.#take(now);
      this.#sample.catch(() => {
        this.#sample = null;
      });
    }
    return this.#sample;
  }

  /** The last hour since the process was ready, one sample about every five seconds, oldest first. */
  history(): readonly OverviewSample[] {
    return this.#history;
  }

  /** Samples whether or not somebody looks, until the signal aborts: the first look then shows what has been. */
  async follow(signal: AbortSignal): Promise<void> {
    const { clock, logger, isReady } = this.#o;
    let keptAt = Number.NEGATIVE_INFINITY;
    let hasBegun = false;
    while (!signal.aborted) {
      try {
        if (!hasBegun && isReady()) {
          hasBegun = true;
          // The flood at a start (a loaded history, a log being caught up) would flatten everything after it.
          this.#totals.length = 0;
        }
        const { events, lag, freshness_ms } = await this.current();
        if (hasBegun && clock.elapsed() - keptAt >= HISTORY_INTERVAL_MS) {
          keptAt = clock.elapsed();
          this.#history.push({ at: clock.now(), rate_per_second: events.rate_per_second, lag, freshness_ms });
          if (this.#history.length > HISTORY_SAMPLES_MAX) this.#history.shift();
        }
      } catch (error) {
        logger.debug({ event: 'overview_failed', error: messageOf(error) });
      }
      await clock.sleep(SAMPLE_MS, signal);
    }
  }

  async #take(now: number): Promise<Overview> {
    const { log, demo, sets, stores, settings } = this.#o;
    const { application, topics, sinks } = sets.features[0];
    const ends = await this.#endsOf(events.name);
    const total = ends.reduce((sum, { offset }) => sum + offset, 0);
    this.#totals.push({ at: now, events: total });
    if (this.#totals.length > RATE_SAMPLES) this.#totals.shift();
    const first = this.#totals[0]!;
    const seconds = (now - first.at) / 1_000;
    const delays = await this.#measureDelays();
    const published = [topics.popularity.name, topics.affinity.name];
    return {
      mode: {
        log: log.kind,
        online_store: stores.store.kind,
        database: settings.DATABASE_URL === undefined ? 'private' : 'url',
      },
      demo,
      uptime_seconds: Math.round((now - this.#startedAt) / 1_000),
      events: { total, rate_per_second: seconds > 0 ? (total - first.events) / seconds : 0 },
      lag: {
        activity: await this.#lag(application, ends),
        popularity: await this.#lag(application, await this.#endsOf(topics.productActivity.name)),
        corpus: await this.#corpusLag(),
        embeddings: await this.#lag(sets.embeddings.application, await this.#endsOf(products.name)),
        redis: await this.#sinkLag(sinks.redis, published, log),
        postgres: await this.#sinkLag(sinks.postgres, published, log),
      },
      freshness_ms: delays,
      intake: await this.#intake(),
    };
  }

  async #endsOf(topic: string): Promise<(TopicPartition & { offset: number })[]> {
    const partitions = await this.#o.log.partitionCount(topic);
    return Promise.all(
      Array.from({ length: partitions }, async (_, partition) => {
        const { lastStable } = await this.#o.log.offsets({ topic, partition });
        return { topic, partition, offset: lastStable };
      }),
    );
  }

  /** Documents that are not counted yet, and changes of their terms. */
  async #corpusLag(): Promise<number> {
    const { application, topics } = this.#o.sets.corpus;
    const lags = [documents.name, topics.termChanges.name].map(async (topic) =>
      this.#lag(application, await this.#endsOf(topic)),
    );
    return (await Promise.all(lags)).reduce((sum, lag) => sum + lag, 0);
  }

  async #lag(group: string, ends: readonly (TopicPartition & { offset: number })[]): Promise<number> {
    const shown = await this.#o.log.shownOffsets(group, ends);
    // Two applications may read one topic.
    const running = this.#o.applications.filter(({ name }) => name === group);
    return ends.reduce((sum, end, i) => {
      const own = running.map(({ reached }) => reached.of(end));
      // -1: the group has shown none yet.
      const next = Math.max(0, ...own, shown[i] ?? 0);
      return sum + Math.max(0, end.offset - next);
    }, 0);
  }

  async #sinkLag({ sink, group }: SinkNames, topics: readonly string[], log: Log): Promise<number> {
    const own = new Map(
      (this.#o.publisher?.positions() ?? [])
        .filter((position) => position.sink === sink)
        .map(({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset]),
    );
    let lag = 0;
    for (const topic of topics) {
      const ends = await this.#endsOf(topic);
      const shown = await log.shownOffsets(group, ends);
      for (const [i, { partition, offset }] of ends.entries())
        lag += Math.max(0, offset - Math.max(own.get(`${topic}/${partition}`) ?? 0, shown[i] ?? 0));
    }
    return lag;
  }

  /**
   * Mean time from event to store for everything applied since the last sample; the previous value if there was
   * nothing. Null where another process publishes.
   */
  async #measureDelays(): Promise<Overview['freshness_ms']> {
    if (this.#o.publisher === null) return null;
    const { values } = await sinkMetrics(this.#o.metrics).delay.get();
    for (const sink of ['redis', 'postgres'] as const) {
      const known = this.#delays[sink];
      const of = (suffix: string) =>
        values
          .filter(({ metricName, labels }) => metricName?.endsWith(suffix) && String(labels.sink).endsWith(`.${sink}`))
          .reduce((sum, { value }) => sum + value, 0);
      const sum = of('_sum');
      const count = of('_count');
      if (count > known.count) known.meanMs = ((sum - known.sum) / (count - known.count)) * 1_000;
      known.sum = sum;
      known.count = count;
    }
    return { redis: this.#delays.redis.meanMs, postgres: this.#delays.postgres.meanMs };
  }

  /** Counted by the tasks of this process; where none run, another process has the figures. */
  async #intake(): Promise<Overview['intake']> {
    if (this.#o.applications.length === 0) return null;
    const { values } = await featureMetrics(this.#o.metrics).intake.get();
    const of = (outcome: string) => values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
    return { counted: of('counted'), duplicate: of('duplicate'), late: of('late'), dead_letter: of('dead_letter') };
  }
}
