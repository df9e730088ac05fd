/** From sending an event to reading it in Redis and in Postgres, with the whole pipeline at half its maximum rate. */
import { partitionOf } from '../../topics/partition.js';
import type { Bench, BenchOptions, Report } from './bench.js';
import { cpuSecondsOf } from './cpu.js';
import { PARTITIONS, prepareTopics } from './engine-run.js';
import { feed } from './feed.js';
import type { FeederDone, FeederInput } from './feeder-worker.js';
import { freshetUp } from './freshet.js';
import { percentile } from './percentiles.js';
import { openBroker, openDatabase, openRedisStore } from './places.js';
import { Probes } from './probes.js';
import { Worker } from './worker.js';

const BACKLOG = 500_000;
const USERS = 200_000;
const PRODUCTS = 100_000;
const SECONDS = 60;
const WARM_SECONDS = 10;
const PROBE_EVERY_MS = 25;

export const latency: Bench = {
  name: 'latency',
  what: 'event to readable in Redis and Postgres, p50 and p99, at half the maximum rate of the whole pipeline',
  async run({ events, users, products, seed, rate: wanted, say }: BenchOptions): Promise<Report[]> {
    const sizes = { users: users ?? USERS, products: products ?? PRODUCTS };
    const backlog = events ?? BACKLOG;
    const broker = await openBroker();
    const redis = await openRedisStore();
    const postgres = await openDatabase();
    try {
      await prepareTopics(broker);
      say('feeding a backlog');
      await feed(broker.log, 'events', { ...sizes, events: backlog, seed, endMs: Date.now() });
      const writer = await broker.log.writer(['events']);
      say('starting freshet up');
      const freshet = await freshetUp({
        KAFKA_BROKERS: broker.brokers,
        PARTITIONS: String(PARTITIONS),
        REDIS_URL: redis.url,
        DATABASE_URL: postgres.url,
      });
      const probes = new Probes({ writer, online: redis.store, database: postgres.database });
      try {
        say('working off the backlog');
        const started = performance.now();
        for (const user of oneUserPerPartition()) await probes.send(user);
        await probes.settled();
        const maximum = backlog / ((performance.now() - started) / 1000);
        probes.clear();

        const rate = wanted ?? maximum / 2;
        say(`${Math.round(rate)} events/s, of ${Math.round(maximum)} at most, for ${WARM_SECONDS + SECONDS} s`);
        const input: FeederInput = {
          brokers: broker.brokers,
          eventsPerSecond: rate,
          seconds: WARM_SECONDS + SECONDS,
          ...sizes,
          seed: seed + 1,
        };
        const feeder = new Worker('feeder-worker', input);
        try {
          await feeder.next('started');
          await sendFor(probes, WARM_SECONDS);
          await probes.settled();
          probes.clear();
          const cpuBefore = cpuSecondsOf(freshet.pid);
          await sendFor(probes, SECONDS);
          await probes.settled();
          const cpuAfter = cpuSecondsOf(freshet.pid);
          if (process.env['BENCH_METRICS'])
            process.stderr.write(await (await fetch(`${freshet.address}/metrics`)).text());
          const { eventsPerSecond } = await feeder.next<FeederDone>('done');
          return [
            {
              title: `latency: ${sizes.users} users, ${sizes.products} products, ${probes.onlineMs.length} probes`,
              figures: [
                { name: 'maximum rate, folded and readable', value: maximum, unit: 'events/s' },
                { name: 'rate during the measurement', value: eventsPerSecond, unit: 'events/s' },
                ...figures('Redis', probes.onlineMs, 400),
                ...figures('Postgres', probes.tableMs, 1500),
                ...(cpuBefore === null || cpuAfter === null
                  ? []
                  : [
                      {
                        name: 'share of one core that freshet took',
                        value: (100 * (cpuAfter - cpuBefore)) / SECONDS,
                        unit: '%',
                      },
                    ]),
              ],
              notes: ['Stores, broker, feeder and freshet share the machine.'],
            },
          ];
        } finally {
          await feeder.stop();
        }
      } finally {
        await probes.end();
        await writer.close();
        await freshet.stop();
      }
    } finally {
      await postgres.close();
      await redis.close();
      await broker.close();
    }
  },
};

function figures(store: string, ms: readonly number[], p99Max: number) {
  return [
    { name: `${store}: p50`, value: percentile(ms, 0.5), unit: 'ms' },
    { name: `${store}: p99`, value: percentile(ms, 0.99), unit: 'ms', aim: { atMost: p99Max } },
    { name: `${store}: slowest`, value: percentile(ms, 1), unit: 'ms' },
  ];
}

async function sendFor(probes: Probes, seconds: number): Promise<void> {
  const started = performance.now();
  for (let i = 0; performance.now() - started < seconds * 1000; i++) {
    await probes.send();
    const next = started + (i + 1) * PROBE_EVERY_MS;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
}

/** A probe behind the backlog of every partition. */
function oneUserPerPartition(): string[] {
  const users = new Map<number, string>();
  for (let i = 0; users.size < PARTITIONS; i++)
    users.set(partitionOf(PARTITIONS, Buffer.from(`tail-${i}`)), `tail-${i}`);
  return [...users.values()];
}
