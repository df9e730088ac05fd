/**
 * The day changes for a million users while events continue: how long until every row that lost a day is emitted again,
 * and how fresh live changes are meanwhile. The processors' clock changes the day, so there is no wait for midnight.
 */
import { Codec } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { declaredState, partitionsOf } from '../../topics/apply.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { PARTITIONS } from './engine-run.js';
import { FeatureWatch, WATCHED, type WatchedFeature } from './feature-watch.js';
import type { FeaturesInput, FeaturesRequest, FeaturesStanding } from './features-worker.js';
import { feed } from './feed.js';
import type { FeederInput } from './feeder-worker.js';
import { percentile } from './percentiles.js';
import { type BrokerPlace, openBroker } from './places.js';
import { Worker } from './worker.js';

const DAY_MS = 86_400_000;
const USERS = 1_000_000;
const PRODUCTS = 100_000;
/** One of them per user is in the day that leaves, so that every user is swept: no midnight can be worse. */
const EVENTS = 3_000_000;
const RATE = 300;
const PROBE_EVERY_MS = 25;
const CALM_SECONDS = 20;
/** The day must not change by itself during a run. */
const TO_MIDNIGHT_MS_MIN = 30 * 60_000;
const SWEEP_SECONDS_MAX = 15 * 60;
const P99_MS_MAX = 1_000;
const QUIET_MS = 5_000;
const QUIET_MS_MAX = 300_000;

export const midnight: Bench = {
  name: 'midnight',
  what: 'the day changes for 1 M users under load: seconds until all are swept, freshness of live changes meanwhile',
  async run(options: BenchOptions): Promise<Report[]> {
    const midnightMs = (Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS;
    if (midnightMs - Date.now() < TO_MIDNIGHT_MS_MIN)
      throw new Error(
        'It is less than half an hour to midnight UTC: the day would change by itself. Try again after midnight.',
      );
    const place = await openBroker();
    try {
      return [await measure(place, midnightMs, options)];
    } finally {
      await place.close();
    }
  },
};

async function measure(place: BrokerPlace, midnightMs: number, options: BenchOptions): Promise<Report> {
  const { seed, say } = options;
  const users = options.users ?? USERS;
  const products = options.products ?? PRODUCTS;
  const events = Math.max(options.events ?? EVENTS, users);
  const rate = options.rate ?? RATE;
  await prepareTopics(place);
  const leaving = midnightMs - 90 * DAY_MS;
  say(`feeding ${events} events, ${users} of them on the day that will leave`);
  const sizes = { users, products };
  const first = { startMs: leaving, endMs: leaving + DAY_MS - 1, disorder: 0, duplicates: 0 };
  await feed(place.log, 'events', { ...sizes, seed, events: users, everyId: true, ...first });
  const rest = { startMs: leaving + DAY_MS, endMs: Date.now() };
  if (events > users) await feed(place.log, 'events', { ...sizes, seed: seed + 1, events: events - users, ...rest });

  const processors = new Worker('features-worker', {
    brokers: place.brokers,
    partitions: PARTITIONS,
    checkpointFolder: null,
  } satisfies FeaturesInput);
  const watch = new Watch(users, products, midnightMs);
  let reader: FeatureWatch | null = null;
  try {
    await processors.next('ready');
    say('folding');
    await ask(processors, { kind: 'catch-up' }, 'caught-up');
    reader = await FeatureWatch.begin(place.log, watch.see);
    say('waiting until the slower output has caught up too');
    await watch.quiet();

    const feeder = new Worker('feeder-worker', {
      brokers: place.brokers,
      eventsPerSecond: rate,
      seconds: SWEEP_SECONDS_MAX,
      ...sizes,
      seed: seed + 2,
    } satisfies FeederInput);
    const writer = await place.log.writer(['events']);
    try {
      await feeder.next('started');
      say(`measuring an ordinary ${CALM_SECONDS} s`);
      const probing = new Probing(watch, writer);
      await probing.during(async () => {
        await new Promise((resolve) => setTimeout(resolve, CALM_SECONDS * 1_000));
      });
      const before = watch.takeFreshness();
      say('midnight');
      const started = performance.now();
      await probing.during(async () => {
        await ask(processors, { kind: 'skew', ms: midnightMs - Date.now() + 1 }, 'skewed');
        await Promise.race([watch.swept(), stalled(processors)]);
      });
      const during = watch.takeFreshness();
      const standing = await ask<FeaturesStanding>(processors, { kind: 'standing', hashes: false }, 'standing');
      return {
        title: `midnight: ${users} users, ${products} products, ${events} events, ${rate} events/s meanwhile`,
        figures: [
          {
            name: 'until everything was swept',
            value: (watch.lastSweptAt - started) / 1_000,
            unit: 's',
            aim: { atMost: SWEEP_SECONDS_MAX },
          },
          ...WATCHED.map((feature) => ({
            name: `  ${feature}, ${watch.expected(feature)} rows`,
            value: (watch.sweptAt(feature) - started) / 1_000,
            unit: 's',
          })),
          ...freshnessFigures('before midnight', before, false),
          ...freshnessFigures('during the sweep', during, true),
          { name: 'peak memory of the processors', value: standing.peakMemoryMib, unit: 'MiB' },
        ],
        notes: [
          'Broker, feeder, watcher and processors share the machine. Freshness: event about to be sent to record read.',
        ],
      };
    } finally {
      await writer.close();
      await feeder.stop();
    }
  } finally {
    await reader?.end();
    await processors.stop();
  }
}

/** As declared, with one exception: the broker must accept records from a clock that is ahead of its own. */
async function prepareTopics({ log }: BrokerPlace): Promise<void> {
  for (const declaration of allTopics()) {
    const state = declaredState(declaration, partitionsOf(declaration, { kind: log.kind, partitions: PARTITIONS }));
    const settings = { ...state.settings, 'message.timestamp.after.max.ms': String(2 * DAY_MS) };
    await log.admin.createTopic({ ...state, settings });
  }
}

/** Rejects if the sweep takes far longer than allowed. */
async function stalled(processors: Worker): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, SWEEP_SECONDS_MAX * 1_000).unref());
  throw new Error(`Not everything was swept within ${SWEEP_SECONDS_MAX} s by process ${processors.pid}.`);
}

async function ask<T>(worker: Worker, request: FeaturesRequest, answer: string): Promise<T> {
  worker.send(request);
  return worker.next<T>(answer);
}

type Freshness = Readonly<Record<'affinity' | 'popularity', number[]>>;

function freshnessFigures(when: string, freshness: Freshness, judged: boolean): Figure[] {
  return (['affinity', 'popularity'] as const).flatMap((feature) => {
    const ms = freshness[feature];
    const p99 = { name: `  ${feature}: p99 of ${ms.length} probes`, value: percentile(ms, 0.99), unit: 'ms' };
    return [
      { name: `${when}, ${feature}: p50`, value: percentile(ms, 0.5), unit: 'ms' },
      judged ? { ...p99, aim: { atMost: P99_MS_MAX } } : p99,
      { name: `  ${feature}: slowest`, value: percentile(ms, 1), unit: 'ms' },
    ];
  });
}

/** What has arrived: which rows were swept, and how long each probe took. */
class Watch {
  readonly #midnight: number;
  /** Whether each row was swept, and how many were. */
  readonly #swept: Record<WatchedFeature, Uint8Array>;
  readonly #count: Record<WatchedFeature, number> = { popularity: 0, affinity: 0, interactions: 0 };
  readonly #expected: Record<WatchedFeature, number>;
  readonly #sweptAt: Record<WatchedFeature, number>;
  readonly #sentAt = new Map<string, number>();
  #freshness: Freshness = { affinity: [], popularity: [] };
  #lastSeen = performance.now();
  #sweptAll: () => void = () => undefined;

  constructor(users: number, products: number, midnight: number) {
    this.#midnight = midnight;
    this.#expected = { popularity: Math.min(products, users), affinity: users, interactions: users };
    const { popularity, affinity, interactions } = this.#expected;
    this.#swept = {
      popularity: new Uint8Array(popularity),
      affinity: new Uint8Array(affinity),
      interactions: new Uint8Array(interactions),
    };
    this.#sweptAt = { popularity: Number.NaN, affinity: Number.NaN, interactions: Number.NaN };
  }

  expected(feature: WatchedFeature): number {
    return this.#expected[feature];
  }

  sweptAt(feature: WatchedFeature): number {
    return this.#sweptAt[feature];
  }

  get lastSweptAt(): number {
    return Math.max(...WATCHED.map((feature) => this.#sweptAt[feature]));
  }

  readonly see = (feature: WatchedFeature, key: string, asOf: number | null): void => {
    const now = performance.now();
    this.#lastSeen = now;
    if (key.startsWith('probe')) {
      const sentAt = feature === 'interactions' ? undefined : this.#sentAt.get(`${feature}/${key}`);
      if (sentAt !== undefined && feature !== 'interactions') {
        this.#sentAt.delete(`${feature}/${key}`);
        this.#freshness[feature].push(now - sentAt);
      }
      return;
    }
    if (asOf !== null && asOf < this.#midnight) return;
    // Ids of the load are a letter and a number.
    const row = Number(key.slice(1));
    const swept = this.#swept[feature];
    if (swept[row] !== 0) return;
    swept[row] = 1;
    this.#count[feature]++;
    if (this.#count[feature] < this.#expected[feature]) return;
    this.#sweptAt[feature] = now;
    if (!Number.isNaN(this.lastSweptAt)) this.#sweptAll();
  };

  sent(key: string): void {
    const now = performance.now();
    this.#sentAt.set(`affinity/${key}`, now);
    this.#sentAt.set(`popularity/${key}`, now);
  }

  /** Resolves when every row was emitted for the new day. */
  swept(): Promise<void> {
    return new Promise((resolve) => {
      this.#sweptAll = resolve;
      if (!Number.isNaN(this.lastSweptAt)) resolve();
    });
  }

  /** Resolves when nothing has arrived for a while. */
  async quiet(): Promise<void> {
    this.#lastSeen = performance.now();
    const deadline = this.#lastSeen + QUIET_MS_MAX;
    while (performance.now() - this.#lastSeen < QUIET_MS && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS / 10));
  }

  takeFreshness(): Freshness {
    const taken = this.#freshness;
    this.#freshness = { affinity: [], popularity: [] };
    return taken;
  }

  get waiting(): number {
    return this.#sentAt.size;
  }
}

/** Sends events of separate users and products, one at a time. */
class Probing {
  readonly #watch: Watch;
  readonly #writer: Awaited<ReturnType<BrokerPlace['log']['writer']>>;
  readonly #codec = new Codec();
  #sent = 0;

  constructor(watch: Watch, writer: Awaited<ReturnType<BrokerPlace['log']['writer']>>) {
    this.#watch = watch;
    this.#writer = writer;
  }

  /** Sends probes during the work, then waits for the last ones. */
  async during(work: () => Promise<void>): Promise<void> {
    let ended = false;
    const working = work().finally(() => {
      ended = true;
    });
    while (!ended) {
      const next = performance.now() + PROBE_EVERY_MS;
      await this.#send();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    }
    await working;
    while (this.#watch.waiting > 0) await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
  }

  async #send(): Promise<void> {
    const key = `probe-${this.#sent++}`;
    const event: Event = {
      event_id: key,
      user_id: key,
      product_id: key,
      category: 'probes',
      event_type: 'view',
      ts: Date.now(),
    };
    this.#watch.sent(key);
    this.#writer.add('events', Buffer.from(key), this.#codec.encode('Event', event));
    await this.#writer.flush();
  }
}
