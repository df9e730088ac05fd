/** The cost of twelve partitions at a low rate: every commit writes a control record into each partition it touches. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import type { Bench, BenchOptions, Report } from './bench.js';
import { cpuSecondsOf } from './cpu.js';
import type { FeederDone, FeederInput } from './feeder-worker.js';
import { freshetUp } from './freshet.js';
import { openBroker, openDatabase, openRedisStore } from './places.js';
import { Worker } from './worker.js';

const PARTITIONS = 12;
const RATE = 1_000;
const USERS = 200_000;
const PRODUCTS = 100_000;
/** Two full changelog intervals. */
const SECONDS = 60;
/** In its first minute a broker compiles itself; that is not part of the cost of a running one. */
const WARM_SECONDS = 60;
const IDLE_SECONDS = 20;
const BROKER_SHARE_MAX = 30;

export const twelve: Bench = {
  name: 'twelve',
  what: '12 partitions at 1 K events/s through all roles: shares of a core used by the broker and freshet',
  async run(options: BenchOptions): Promise<Report[]> {
    const closing: (() => Promise<unknown>)[] = [];
    try {
      return [await measure(options, (close) => closing.push(close))];
    } finally {
      for (const close of closing.reverse())
        await close().catch((error: unknown) => options.say(`at the end: ${String(error)}`));
    }
  },
};

async function measure(
  { users, products, rate: wanted, seed, say }: BenchOptions,
  atEnd: (close: () => Promise<unknown>) => void,
): Promise<Report> {
  const rate = wanted ?? RATE;
  const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const broker = await openBroker();
  atEnd(() => broker.close());
  const redis = await openRedisStore();
  atEnd(() => redis.close());
  const postgres = await openDatabase();
  atEnd(() => postgres.close());
  await applyTopics(broker.log.admin, allTopics(), { kind: broker.log.kind, partitions: PARTITIONS });
  say('starting freshet up');
  const freshet = await freshetUp({
    KAFKA_BROKERS: broker.brokers,
    PARTITIONS: String(PARTITIONS),
    REDIS_URL: redis.url,
    DATABASE_URL: postgres.url,
    FRESHET_DATA_DIR: folder,
  });
  atEnd(() => freshet.stop());
  const shares = async (seconds: number) => {
    const before = [broker.pid, freshet.pid].map(cpuOf);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const after = [broker.pid, freshet.pid].map(cpuOf);
    const [ofBroker, ofFreshet] = after.map((cpu, i) => (100 * (cpu - before[i]!)) / seconds);
    return { ofBroker: ofBroker!, ofFreshet: ofFreshet! };
  };
  say(`${rate} events/s for ${WARM_SECONDS + SECONDS} s`);
  const feeder = new Worker('feeder-worker', {
    brokers: broker.brokers,
    eventsPerSecond: rate,
    seconds: WARM_SECONDS + SECONDS,
    users: users ?? USERS,
    products: products ?? PRODUCTS,
    seed,
  } satisfies FeederInput);
  atEnd(() => feeder.stop());
  await feeder.next('started');
  await new Promise((resolve) => setTimeout(resolve, WARM_SECONDS * 1_000));
  const busy = await shares(SECONDS);
  const { eventsPerSecond } = await feeder.next<FeederDone>('done');
  say('nothing');
  await shares(IDLE_SECONDS);
  const idle = await shares(IDLE_SECONDS);
  return {
    title: `twelve: ${PARTITIONS} partitions, ${rate} events/s, all roles in one process`,
    figures: [
      { name: 'events per second', value: eventsPerSecond, unit: 'events/s' },
      { name: 'broker, share of a core', value: busy.ofBroker, unit: '%', aim: { atMost: BROKER_SHARE_MAX } },
      { name: 'freshet, share of a core', value: busy.ofFreshet, unit: '%' },
      { name: 'broker without any event', value: idle.ofBroker, unit: '%' },
      { name: 'freshet without any event', value: idle.ofFreshet, unit: '%' },
    ],
    notes: ['The broker serves the feeder too. Stores, broker, feeder and freshet share the machine.'],
  };
}

/** NaN if the system does not report it. */
function cpuOf(pid: number | null): number {
  return (pid === null ? null : cpuSecondsOf(pid)) ?? Number.NaN;
}
