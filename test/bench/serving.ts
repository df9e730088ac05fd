/**
 * Recommendations, similar products and search from a separate process, over HTTP, at a fixed rate. A request is timed
 * from when it was due, so that a server that falls behind is charged for the queue it causes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { createVersions } from '../../publishing/versions/create.js';
import type { Versions } from '../../publishing/versions/versions.js';
import { loadNative } from '../../runtime/models/faiss/native.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import { RECALL_MIN } from '../../snapshotters/als/graph.js';
import type { MadeIndexes } from '../../snapshotters/als/indexes.js';
import { productId, userId } from '../support/load.js';
import { Random } from '../support/random.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { freshetUp, type RunningFreshet } from './freshet.js';
import { percentile } from './percentiles.js';
import { openDatabase, openRedisStore } from './places.js';
import { FixedRate, type Outcome, type Path } from './serving/fixed-rate.js';
import { FACTORS, indexOf, interactionsOf, modelOf, WORDS } from './serving/models.js';
import { openLogPlace } from './sink-load.js';

const PRODUCTS = 100_000;
const USERS = 20_000;
const RATE = 500;
const SECONDS = 20;
const WARM_SECONDS = 3;
const LIMIT_MS = 10;
const CHANGES = 6;

export const serving: Bench = {
  name: 'serving',
  what: 'recommendations, similar products and search over HTTP at 500 requests/s, and while a version changes',
  async run(options: BenchOptions): Promise<Report[]> {
    const products = options.products ?? PRODUCTS;
    const users = options.users ?? USERS;
    const rate = options.rate ?? RATE;
    const redis = await openRedisStore();
    const postgres = await openDatabase();
    const place = await openLogPlace();
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-serving-'));
    const given = { FRESHET_DATA_DIR: join(folder, 'data'), ARTIFACTS_DIR: join(folder, 'artifacts') };
    const environment = { ...given, REDIS_URL: redis.url, DATABASE_URL: postgres.url };
    const settings = loadSettings(environment);
    await migrateUp(postgres.database);
    const machine = createVersions({
      ...{ database: postgres.database, store: redis.store, log: place.log, codec: new Codec(), settings },
      ...{ clock: systemClock, ...openReporting(silentLogger) },
    });
    let running: RunningFreshet | null = null;
    try {
      await machine.start();
      const random = new Random(options.seed);
      options.say(`an index of ${products} products × 384`);
      await machine.publish(await indexOf(settings, products, random), { epoch: 1 });
      options.say(`factors of ${users} users and ${products} products`);
      const figures: Figure[] = [];
      for (const number of [1, 2]) {
        const { build, indexes } = await modelOf(settings, number, { users, products });
        await machine.publish(build, { epoch: 1 });
        if (number === 1) figures.push(...indexFigures(indexes));
      }
      await machine.promote('als', 1);
      await interactionsOf(redis.store, { users, products }, random);
      running = await freshetUp(environment, ['--no-demo', '--roles', 'serving,publisher']);
      options.say('loading both');
      const client = new FixedRate(running.address, rate);
      const seconds = await client.untilVersions(`/v1/products/${productId(0)}/similar`, 'faiss=1, als=1');
      figures.push({ name: 'until both models are loaded', value: seconds, unit: 's' });
      for (const [name, path] of askedOf(users, products, random)) {
        options.say(name);
        await client.run(path, { seconds: WARM_SECONDS });
        figures.push(...figuresOf(name, await client.run(path, { seconds: SECONDS })));
      }
      figures.push(...(await changing(machine, client, { users, products, random }, options)));
      return [report(figures, { products, users, rate }, 'native' in (await loadNative()))];
    } finally {
      await running?.stop();
      await machine.stop();
      await place.close();
      await postgres.close();
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function report(
  figures: readonly Figure[],
  { products, users, rate }: { products: number; users: number; rate: number },
  native: boolean,
): Report {
  return {
    title: `serving: ${products} products, ${users} users with ${FACTORS} factors, ${rate} requests/s, limit 20`,
    figures,
    notes: [
      `FAISS: ${native ? 'native' : 'none, exact search'}; client, server, its three index processes, Redis and Postgres share ${availableParallelism()} cores.`,
      `Load of the machine over the last minute: ${loadavg()[0]!.toFixed(1)} (the bench's own is in it).`,
      'A request is timed from when it was due.',
    ],
  };
}

function askedOf(users: number, products: number, random: Random): [string, Path][] {
  const recommendations: Path = () => `/v1/users/${userId(random.below(users))}/recommendations`;
  const similar: Path = () => `/v1/products/${productId(random.below(products))}/similar`;
  const search: Path = () => `/v1/search?q=word${random.below(WORDS)}+word${random.below(WORDS)}`;
  const misspelt: Path = () => `/v1/search?q=wrod${random.below(WORDS)}+word${random.below(WORDS)}`;
  return [
    ['recommendations', recommendations],
    ['similar', similar],
    ['recommendations and similar, alternating', (i) => (i % 2 === 0 ? recommendations(i) : similar(i))],
    ['search', search],
    ['search with a typing error', misspelt],
  ];
}

function figuresOf(name: string, { ms, failed }: Outcome): Figure[] {
  const aim = { aim: { atMost: LIMIT_MS } };
  return [
    { name: `${name}: p50`, value: percentile(ms, 0.5), unit: 'ms' },
    { name: `${name}: p99`, value: percentile(ms, 0.99), unit: 'ms', ...aim },
    { name: `${name}: failed`, value: failed, unit: 'requests', aim: { atMost: 0 } },
  ];
}

interface Sizes {
  readonly users: number;
  readonly products: number;
  readonly random: Random;
}

/** Requests of both kinds while the server loads another model and switches, back and forth; loading only. */
async function changing(
  machine: Versions,
  client: FixedRate,
  { users, products, random }: Sizes,
  options: BenchOptions,
): Promise<Figure[]> {
  const [, path] = askedOf(users, products, random)[2]!;
  const ms: number[] = [];
  const seconds: number[] = [];
  let failed = 0;
  for (let change = 0; change < CHANGES; change++) {
    options.say(`recommendations and similar, alternating, while another model is loaded: ${change + 1} of ${CHANGES}`);
    const version = change % 2 === 0 ? 2 : 1;
    await client.run(path, { seconds: WARM_SECONDS });
    const loaded = machine
      .promote('als', version)
      .then(() => client.untilVersions(`/v1/products/${productId(0)}/similar`, `faiss=1, als=${version}`));
    const outcome = await client.run(path, { until: loaded });
    ms.push(...outcome.ms);
    failed += outcome.failed;
    seconds.push(await loaded);
  }
  return [
    ...figuresOf('while another model is loaded', { ms, failed }),
    { name: 'while another model is loaded: slowest', value: percentile(ms, 1), unit: 'ms' },
    { name: 'switched until loaded and served, the slowest', value: Math.max(...seconds), unit: 's' },
  ];
}

function indexFigures({ products, neighbours, seconds }: MadeIndexes['figures']): Figure[] {
  // If no graph finds enough, the index is published flat.
  const recall = (graph: MadeIndexes['figures']['products']) =>
    graph === null || graph.ef_search === null ? 1 : graph.tried.at(-1)!.recall_at_10;
  return [
    { name: 'indexes of a model: built in', value: seconds, unit: 's' },
    { name: 'recommendations: recall@10', value: recall(products), unit: '', aim: { atLeast: RECALL_MIN } },
    { name: 'similar: recall@10', value: recall(neighbours), unit: '', aim: { atLeast: RECALL_MIN } },
  ];
}
