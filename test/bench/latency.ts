/** From sending an event to reading it in Redis and in Postgres, with the entire pipeline at half its maximum rate. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
const SECONDS = 40;
const WARM_SECONDS = 10;
/** The maximum is searched in steps; a rate is sustained while half of the probes are within the targets of the p99. */
const RAMP_FROM = 2_000;
const RAMP_FACTOR = 1.4;
const RAMP_WARM_SECONDS = 4;
const RAMP_SECONDS = 6;
const CALM_MS = 1_000;
const CALM_PROBES = 10;
const CALM_MS_MAX = 60_000;
/** A feeder that cannot send this share of its rate says nothing about the pipeline. */
const FED_SHARE_MIN = 0.95;
const PROBE_EVERY_MS = 25;
const REDIS_P99_MS_MAX = 400;
const POSTGRES_P99_MS_MAX = 1_500;

/** How the roles are distributed over processes; the processors start last, so that the backlog waits for all. */
const SPLITS = [
  { title: 'all roles in one process', roles: ['processor,publisher,serving'] },
  { title: 'a process for the processors, one for the rest', roles: ['publisher,serving', 'processor'] },
] as const;

export const latency: Bench = {
  name: 'latency',
  what: 'event to readable in Redis and Postgres, p50 and p99, at half the maximum rate of the entire pipeline',
  async run(options: BenchOptions): Promise<Report[]> {
    const reports: Report[] = [];
    for (const { title, roles } of SPLITS)
      reports.push({ ...(await runOne(roles, options)), title: `latency: ${title}` });
    return reports;
  },
};

/** Everything opened is closed in reverse order, however the run ends. */
async function runOne(roles: readonly string[], options: BenchOptions): Promise<Report> {
  const closing: (() => Promise<unknown>)[] = [];
  try {
    return await measure(roles, options, (close) => closing.push(close));
  } finally {
    for (const close of closing.reverse())
      await close().catch((error: unknown) => options.say(`at the end: ${String(error)}`));
  }
}

async function measure(
  roles: readonly string[],
  { events, users, products, seed, rate: wanted, say }: BenchOptions,
  atEnd: (close: () => Promise<unknown>) => void,
): Promise<Report> {
  const sizes = { users: users ?? USERS, products: products ?? PRODUCTS };
  const backlog = events ?? BACKLOG;
  const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const broker = await openBroker();
  atEnd(() => broker.close());
  const redis = await openRedisStore();
  atEnd(() => redis.close());
  const postgres = await openDatabase();
  atEnd(() => postgres.close());
  await prepareTopics(broker);
  say('feeding a backlog');
  await feed(broker.log, 'events', { ...sizes, events: backlog, seed, endMs: Date.now() });
  const writer = await broker.log.writer(['events']);
  atEnd(() => writer.close());

  say('starting freshet up');
  const settings = {
    KAFKA_BROKERS: broker.brokers,
    PARTITIONS: String(PARTITIONS),
    REDIS_URL: redis.url,
    DATABASE_URL: postgres.url,
  };
  const pids: number[] = [];
  for (const [i, part] of roles.entries()) {
    const dataFolder = { FRESHET_DATA_DIR: join(folder, String(i)) };
    const freshet = await freshetUp({ ...settings, ...dataFolder }, ['--no-demo', '--roles', part]);
    atEnd(() => freshet.stop());
    pids.push(freshet.pid);
  }
  const probes = new Probes({ writer, online: redis.store, database: postgres.database });
  atEnd(() => probes.end());
  say('working off the backlog');
  const started = performance.now();
  for (const user of oneUserPerPartition()) await probes.send(user);
  await probes.settled();
  const catchUp = backlog / ((performance.now() - started) / 1000);
  say('waiting for the remains of the backlog');
  await calm(probes);

  let steps = 0;
  /** Sends at a rate and measures, leaving out the first seconds. */
  const at = async (rate: number, warmSeconds: number, seconds: number) => {
    say(`${Math.round(rate)} events/s for ${warmSeconds + seconds} s`);
    const input: FeederInput = {
      brokers: broker.brokers,
      eventsPerSecond: rate,
      seconds: warmSeconds + seconds,
      ...sizes,
      seed: seed + ++steps,
    };
    const feeder = new Worker('feeder-worker', input);
    try {
      await feeder.next('started');
      await sendFor(probes, warmSeconds);
      probes.clear();
      const cpuBefore = cpuSum(pids);
      await sendFor(probes, seconds);
      const cpuShare = (100 * (cpuSum(pids) - cpuBefore)) / seconds;
      const { eventsPerSecond } = await feeder.next<FeederDone>('done');
      await probes.settled();
      return { eventsPerSecond, cpuShare };
    } finally {
      await feeder.stop();
    }
  };
  let maximum = 0;
  if (wanted === null) {
    for (let rate = RAMP_FROM; ; rate *= RAMP_FACTOR) {
      const { eventsPerSecond } = await at(rate, RAMP_WARM_SECONDS, RAMP_SECONDS);
      const [online, table] = [percentile(probes.onlineMs, 0.5), percentile(probes.tableMs, 0.5)];
      say(`  p50 ${Math.round(online)} ms in Redis, ${Math.round(table)} ms in Postgres`);
      const keepsUp = online <= REDIS_P99_MS_MAX && table <= POSTGRES_P99_MS_MAX;
      if (!keepsUp || eventsPerSecond < FED_SHARE_MIN * rate) break;
      maximum = eventsPerSecond;
    }
  }
  const { eventsPerSecond, cpuShare } = await at(wanted ?? Math.max(maximum, RAMP_FROM) / 2, WARM_SECONDS, SECONDS);
  return {
    title: '',
    figures: [
      { name: 'rate while catching up', value: catchUp, unit: 'events/s' },
      ...(wanted === null ? [{ name: 'maximum sustained rate', value: maximum, unit: 'events/s' }] : []),
      { name: 'rate during the measurement', value: eventsPerSecond, unit: 'events/s' },
      { name: 'probes', value: probes.onlineMs.length, unit: '' },
      ...figures('Redis', probes.onlineMs, REDIS_P99_MS_MAX),
      ...figures('Postgres', probes.tableMs, POSTGRES_P99_MS_MAX),
      ...(Number.isNaN(cpuShare) ? [] : [{ name: 'share of one core used by freshet', value: cpuShare, unit: '%' }]),
    ],
    notes: ['Stores, broker, feeder and freshet share the machine.'],
  };
}

/** Resolves when several probes in a row have been readable at once: slower outputs have caught up too. */
async function calm(probes: Probes): Promise<void> {
  const deadline = performance.now() + CALM_MS_MAX;
  for (let inRow = 0; inRow < CALM_PROBES && performance.now() < deadline; ) {
    probes.clear();
    await probes.send();
    await probes.settled();
    inRow = Math.max(...probes.onlineMs, ...probes.tableMs) < CALM_MS ? inRow + 1 : 0;
  }
}

/** NaN if the system does not report it. */
function cpuSum(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (cpuSecondsOf(pid) ?? Number.NaN), 0);
}

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

/** A probe after the backlog of every partition. */
function oneUserPerPartition(): string[] {
  const users = new Map<number, string>();
  for (let i = 0; users.size < PARTITIONS; i++)
    users.set(partitionOf(PARTITIONS, Buffer.from(`tail-${i}`)), `tail-${i}`);
  return [...users.values()];
}
