/**
 * Feature topics into the stores through the sinks: the cost of a row, how far Postgres falls behind at a steady rate
 * and above it, and the state of its tables afterwards.
 */
import { Layout } from '../../publishing/layout.js';
import type { Materialiser } from '../../publishing/live/materialise.js';
import { ONLINE_PACE, TABLE_PACE } from '../../publishing/live/publisher.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { affinityOnline, affinityRows } from '../../publishing/sinks/affinity.js';
import { popularityOnline, popularityRows } from '../../publishing/sinks/popularity.js';
import { onlineSinkStore } from '../../publishing/sinks/sink-store.js';
import { tableSinkStore } from '../../publishing/sinks/table-sink-store.js';
import type { Database } from '../../runtime/stores/database.js';
import { featureSet, sinkNames } from '../../topics/feature-set.js';
import type { BenchOptions, Figure, Report } from './bench.js';
import { stopwatch } from './cpu.js';
import { percentile } from './percentiles.js';
import { openDatabase, openRedisStore } from './places.js';
import { CATEGORIES_PER_USER, endsNow, type LogPlace, openLogPlace, RowWriter, sinksOf } from './sink-load.js';

const USERS = 200_000;
const PRODUCTS = 100_000;
const HALF_LIFE_MS = 14 * 86_400_000;
const SET = featureSet(1);
const BACKLOG = 200_000;
const WRITE_ROWS = 2_000;
/** Events per second, each of which changes a product and a user: the target rate, and rates above it. */
const STEADY = 20_000;
const ABOVE = 40_000;
const SECONDS = 40;
const TICK_MS = 50;
const LAG_MS_MAX = 5_000;
const WATCH_MS = 5;
/** Commits of a real pipeline arrive every 100 ms; Postgres gets half a second of them at a time. */
const COALESCE_MS = 500;

export async function sinkReports(options: BenchOptions): Promise<Report[]> {
  const place = await openLogPlace();
  const sizes = { users: options.users ?? USERS, products: options.products ?? PRODUCTS, seed: options.seed };
  const rows = await RowWriter.open(place.log, sizes);
  try {
    for (let i = 0; i < BACKLOG; i += WRITE_ROWS) await rows.write(WRITE_ROWS);
    return [await redisReport(place, options), await postgresReport(place, rows, options)];
  } finally {
    await rows.close();
    await place.close();
  }
}

async function redisReport({ log }: LogPlace, { say }: BenchOptions): Promise<Report> {
  say('sinks into Redis');
  const redis = await openRedisStore();
  const layout = new Layout('bench:');
  const [popularity, affinity] = [popularityOnline(SET, layout, HALF_LIFE_MS), affinityOnline(SET, layout)];
  const sinks = sinksOf(
    log,
    sinkNames('bench.redis'),
    [
      { topic: popularity.topic, store: onlineSinkStore(redis.store, popularity), forgetsUnseen: true },
      { topic: affinity.topic, store: onlineSinkStore(redis.store, affinity), forgetsUnseen: true },
    ],
    ONLINE_PACE,
  );
  try {
    return { title: 'stores: the sinks into Redis, from a backlog', figures: await catchUp({ log }, sinks), notes: [] };
  } finally {
    await sinks.stop();
    await redis.close();
  }
}

async function postgresReport({ log }: LogPlace, rows: RowWriter, { say }: BenchOptions): Promise<Report> {
  say('sinks into Postgres');
  const { database, close } = await openDatabase();
  await migrateUp(database);
  const [popularity, affinity] = [popularityRows(SET), affinityRows(SET)];
  const sinks = sinksOf(
    log,
    sinkNames('bench.postgres'),
    [
      { topic: popularity.topic, store: tableSinkStore(database, popularity), forgetsUnseen: true },
      { topic: affinity.topic, store: tableSinkStore(database, affinity), forgetsUnseen: true },
    ],
    { ...TABLE_PACE, lingerMs: COALESCE_MS },
  );
  try {
    const figures = await catchUp({ log }, sinks);
    for (const rate of [STEADY, ABOVE]) {
      say(`${rate} events/s into Postgres for ${SECONDS} s`);
      figures.push(...(await atRate(rate, log, rows, sinks)), ...(await deadTuples(database, rate)));
    }
    return {
      title: 'stores: the sinks into Postgres, from a backlog and at steady rates',
      figures,
      notes: [
        `An event changes a product's row and a user's row of ${CATEGORIES_PER_USER} categories; the log is written by the same process.`,
        `Dead tuples were counted after ${SECONDS} s at each rate, not after 30 minutes.`,
      ],
    };
  } finally {
    await sinks.stop();
    await close();
  }
}

/** Starts the sinks on their backlog. */
async function catchUp({ log }: Pick<LogPlace, 'log'>, sinks: Materialiser): Promise<Figure[]> {
  const ends = await endsNow(log);
  const spent = stopwatch();
  await sinks.start();
  await passed(sinks, ends);
  const { seconds, cpuSeconds } = spent();
  return [
    { name: 'backlog', value: (2 * BACKLOG) / seconds, unit: 'rows/s' },
    { name: 'backlog', value: (cpuSeconds / (2 * BACKLOG)) * 1e6, unit: 'µs of ours per row' },
  ];
}

/** The lag is the time from writing until every partition has passed the written records. */
async function atRate(rate: number, log: LogPlace['log'], rows: RowWriter, sinks: Materialiser): Promise<Figure[]> {
  const lags: number[] = [];
  const waiting: { readonly at: number; readonly ends: Ends }[] = [];
  let isFeeding = true;
  const watching = (async () => {
    // Positions only move forward, so only the oldest must be checked.
    for (let oldest = waiting[0]; isFeeding || oldest !== undefined; oldest = waiting[0]) {
      if (oldest !== undefined && isPassed(sinks, oldest.ends)) {
        lags.push(performance.now() - oldest.at);
        waiting.shift();
      } else {
        await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
      }
    }
  })();
  const started = performance.now();
  const spent = stopwatch();
  let written = 0;
  for (let tick = 1; performance.now() - started < SECONDS * 1000; tick++) {
    const due = Math.floor(((performance.now() - started) / 1000) * rate) - written;
    if (due > 0) await rows.write(due);
    written += Math.max(0, due);
    waiting.push({ at: performance.now(), ends: await endsNow(log) });
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, started + tick * TICK_MS - performance.now())));
  }
  const fed = written / ((performance.now() - started) / 1000);
  isFeeding = false;
  await watching;
  const { seconds, cpuSeconds } = spent();
  const name = `at ${rate.toLocaleString('en-US')} events/s`;
  return [
    { name: `${name}: fed`, value: fed, unit: 'events/s' },
    { name: `${name}: lag p50`, value: percentile(lags, 0.5) / 1000, unit: 's' },
    { name: `${name}: longest lag`, value: percentile(lags, 1) / 1000, unit: 's', aim: { atMost: LAG_MS_MAX / 1000 } },
    { name: `${name}: share of a core, feeding included`, value: (100 * cpuSeconds) / seconds, unit: '%' },
  ];
}

type Ends = Awaited<ReturnType<typeof endsNow>>;

function isPassed(sinks: Materialiser, ends: Ends): boolean {
  return ends.every((end) => {
    const at = sinks.progressOf(end);
    return typeof at === 'number' && at >= end.offset;
  });
}

async function passed(sinks: Materialiser, ends: Ends): Promise<void> {
  while (!isPassed(sinks, ends)) await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
}

async function deadTuples(database: Database, rate: number): Promise<Figure[]> {
  const [row] = await database.query<{ dead: number; live: number }>(
    `SELECT sum(n_dead_tup) AS dead, sum(n_live_tup) AS live FROM pg_stat_user_tables
     WHERE relname IN ('product_popularity_v1', 'user_affinity_v1')`,
  );
  const name = `at ${rate.toLocaleString('en-US')} events/s: ratio of dead to live tuples, after ${SECONDS} s`;
  return [{ name, value: row!.dead / row!.live, unit: '', aim: { atMost: 2 } }];
}
