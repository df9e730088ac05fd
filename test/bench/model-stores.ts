/** Loading a recommendation model from its files into the stores, and the cost of reading it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReporting } from '../../assembly/reporting.js';
import { Layout } from '../../publishing/layout.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { createModelReader } from '../../publishing/reading/models.js';
import { als } from '../../publishing/versions/artefacts/als.js';
import { ITEM_FACTORS_FILE, USER_FACTORS_FILE, writeFactors } from '../../publishing/versions/artefacts/factor-file.js';
import type { Manifest } from '../../publishing/versions/manifest.js';
import type { VersionsPlace } from '../../publishing/versions/place.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Artifacts } from '../../runtime/stores/artifacts.js';
import { productId, userId } from '../support/load.js';
import { Random } from '../support/random.js';
import { redisCommand } from '../support/services/redis-command.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { stopwatch } from './cpu.js';
import { percentile } from './percentiles.js';
import { openDatabase, openRedisStore, type RedisPlace } from './places.js';

const USERS = 200_000;
const PRODUCTS = 20_000;
const FACTORS = 64;
const KEY_PREFIX = 'bench:';
const READS = 5_000;
const READS_AT_ONCE = 16;
const VERSION = { artefact: 'als', version: 1, epoch: 1 } as const;

export const modelStores: Bench = {
  name: 'model-stores',
  what: 'factors of a recommendation model from its files into Postgres and Redis, and reads of users’ factors',
  async run(options: BenchOptions): Promise<Report[]> {
    const users = options.users ?? USERS;
    const products = options.products ?? PRODUCTS;
    const redis = await openRedisStore();
    const { database, close: closeDatabase } = await openDatabase();
    const root = await mkdtemp(join(tmpdir(), 'freshet-bench-models-'));
    try {
      await migrateUp(database);
      const layout = new Layout(KEY_PREFIX);
      const artifacts = new Artifacts(root);
      const place: VersionsPlace = {
        ...{ database, store: redis.store, layout, artifacts, clock: systemClock },
        ...openReporting(silentLogger),
      };
      options.say(`writing the files of ${users} users and ${products} products`);
      const manifest = await writeModel(artifacts.folder('als', 1), users, products, options.seed);
      await database.execute(STAGED, [JSON.stringify(manifest)]);
      const figures = await staged(place, manifest, redis, users + products, users, options);
      figures.push(...(await reads(place, users, options)));
      const removal = stopwatch();
      await als.removeRows(place, VERSION);
      for await (const keys of als.keysOf(place, VERSION)) await redis.store.discard(keys);
      figures.push({ name: 'removing it from both stores', value: removal().seconds, unit: 's' });
      return [{ title: `model-stores: ${users} users, ${products} products, ${FACTORS} factors`, figures, notes: [] }];
    } finally {
      await closeDatabase();
      await redis.close();
      await rm(root, { recursive: true, force: true });
    }
  },
};

async function staged(
  place: VersionsPlace,
  manifest: Manifest,
  redis: RedisPlace,
  rows: number,
  users: number,
  { say }: BenchOptions,
): Promise<Figure[]> {
  say('into Postgres, and read back');
  const intoPostgres = stopwatch();
  const checksum = await als.stageRows(place, VERSION, manifest);
  const postgres = intoPostgres();
  say('into Redis, and read back');
  const before = await memoryOf(redis);
  const intoRedis = stopwatch();
  await als.stageKeys(place, VERSION, checksum);
  const online = intoRedis();
  const perUser = ((await memoryOf(redis)) - before) / users;
  return [
    { name: 'into Postgres, read back', value: rows / postgres.seconds, unit: 'rows/s' },
    { name: '  processor time', value: postgres.cpuSeconds, unit: 's' },
    { name: 'out of Postgres into Redis, read back', value: users / online.seconds, unit: 'users/s' },
    { name: '  processor time', value: online.cpuSeconds, unit: 's' },
    { name: 'memory of Redis per user', value: perUser, unit: 'bytes' },
    { name: 'memory of this process', value: process.memoryUsage().rss / 2 ** 20, unit: 'MiB' },
  ];
}

async function memoryOf({ url }: RedisPlace): Promise<number> {
  const told = await redisCommand({ url }, 'INFO', 'memory');
  return Number(/used_memory:(\d+)/.exec(told)?.[1]);
}

async function reads({ store, database }: VersionsPlace, users: number, options: BenchOptions): Promise<Figure[]> {
  const reader = createModelReader({ store, database, keyPrefix: KEY_PREFIX });
  const random = new Random(options.seed);
  const times: number[] = [];
  const one = async () => {
    for (let i = 0; i < READS / READS_AT_ONCE; i++) {
      const started = performance.now();
      await reader.userFactors(userId(random.below(users)), 1);
      times.push(performance.now() - started);
    }
  };
  const all = stopwatch();
  await Promise.all(Array.from({ length: READS_AT_ONCE }, one));
  const { seconds } = all();
  return [
    { name: `factors of a user, ${READS_AT_ONCE} at once`, value: times.length / seconds, unit: 'reads/s' },
    { name: '  p99', value: percentile(times, 0.99), unit: 'ms' },
  ];
}

async function writeModel(folder: string, users: number, products: number, seed: number): Promise<Manifest> {
  await mkdir(folder, { recursive: true });
  const random = new Random(seed);
  const sides = [
    [USER_FACTORS_FILE, users, userId],
    [ITEM_FACTORS_FILE, products, productId],
  ] as const;
  for (const [file, count, idOf] of sides) {
    const ids = Array.from({ length: count }, (_, i) => Buffer.from(idOf(i))).sort(Buffer.compare);
    await writeFactors(join(folder, file), {
      rows: count,
      factors: FACTORS,
      idOf: (row) => ids[row]!,
      copyFactors: (_, target, at) => {
        for (let f = 0; f < FACTORS; f++) target[at + f] = random.unit() - 0.5;
      },
    });
  }
  const manifest: Manifest = {
    ...{ artefact: 'als', run_id: 'bench', created_at: new Date().toISOString(), code_version: 'bench', inputs: [] },
    ...{ settings: {}, counts: { users, products }, figures: {}, checks: [] },
    files: sides.map(([name]) => ({ name, bytes: 0, sha256: '' })),
  };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  return manifest;
}

const STAGED = `
INSERT INTO versions (artefact, version, state, manifest, timeline, seq, epoch, created_at)
VALUES ('als', 1, 'staged', $1::jsonb, 0, 0, 1, now())`;
