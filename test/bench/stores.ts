/** Rows per second into every store, through the sinks' own fenced batches, and reads per second from online ones. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Layout } from '../../publishing/layout.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { affinityOnline, affinityRows } from '../../publishing/sinks/affinity.js';
import type { AffinityRow } from '../../publishing/sinks/affinity-row.js';
import type { Change } from '../../publishing/sinks/keyed-topic.js';
import { popularityOnline, popularityRows } from '../../publishing/sinks/popularity.js';
import { onlineSinkStore, type SinkStore } from '../../publishing/sinks/sink-store.js';
import { tableSinkStore } from '../../publishing/sinks/table-sink-store.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openLocalStore } from '../../runtime/stores/local/local-store.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import type { Popularity } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { categoryId, productId, userId } from '../support/load.js';
import { Random } from '../support/random.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { stopwatch } from './cpu.js';
import { openDatabase, openRedisStore } from './places.js';
import { sinkReports } from './sinks.js';

const PRODUCTS = 100_000;
const USERS = 100_000;
const CATEGORIES = 50;
const CATEGORIES_PER_USER = 5;
const ENTRIES_PER_PRODUCT = 4;
const ROWS_PER_BATCH = 1_000;
const REDIS_ENTRIES_MIN = 150_000;
const READS = 5_000;
const READS_AT_ONCE = 32;
const HALF_LIFE_MS = 14 * 86_400_000;
const SET = featureSet(1);

export const stores: Bench = {
  name: 'stores',
  what: 'rows per second into Redis, the local store and Postgres through the sinks, and reads out of them',
  async run(options: BenchOptions): Promise<Report[]> {
    const batches = [await redisReport(options), await localReport(options), await postgresReport(options)];
    return [...batches, ...(await sinkReports(options))];
  },
};

async function redisReport(options: BenchOptions): Promise<Report> {
  options.say('Redis');
  const place = await openRedisStore();
  try {
    return {
      title: `stores: Redis, batches of ${ROWS_PER_BATCH}`,
      figures: await online(place.store, options, { atLeast: REDIS_ENTRIES_MIN }),
      notes: [
        `Entries: a product is in two rankings and two hashes, a user in ${CATEGORIES_PER_USER} fields and one of the times.`,
      ],
    };
  } finally {
    await place.close();
  }
}

async function localReport(options: BenchOptions): Promise<Report> {
  options.say('the local store');
  const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
  try {
    const store = await openLocalStore(folder, silentLogger);
    try {
      return {
        title: `stores: local store, batches of ${ROWS_PER_BATCH}`,
        figures: await online(store, options),
        notes: [],
      };
    } finally {
      await store.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function online(store: OnlineStore, options: BenchOptions, aim?: Figure['aim']): Promise<Figure[]> {
  const layout = new Layout('bench:');
  const keys = layout.features(SET);
  const popularity = onlineSinkStore(store, popularityOnline(SET, layout, HALF_LIFE_MS));
  const affinity = onlineSinkStore(store, affinityOnline(SET, layout));
  const users = options.users ?? USERS;
  return [
    ...(await write('popularity', popularity, popularityChanges(options), { perRow: ENTRIES_PER_PRODUCT, aim })),
    ...(await write('affinity', affinity, affinityChanges(options), { perRow: CATEGORIES_PER_USER + 1, aim })),
    await read('top 20', async () => void (await store.ztop(keys.popularityAll, 20))),
    await read('affinity of a user', async (i) => void (await store.hgetall(keys.affinityUser(userId(i % users))))),
  ];
}

async function postgresReport(options: BenchOptions): Promise<Report> {
  options.say('Postgres');
  const place = await openDatabase();
  try {
    await migrateUp(place.database);
    const popularity = tableSinkStore(place.database, popularityRows(SET));
    const affinity = tableSinkStore(place.database, affinityRows(SET));
    const figures = [
      ...(await write('popularity', popularity, popularityChanges(options))),
      ...(await write('affinity', affinity, affinityChanges(options))),
    ];
    return { title: `stores: Postgres, batches of ${ROWS_PER_BATCH}`, figures, notes: [] };
  } finally {
    await place.close();
  }
}

/** Writes all changes twice: into an empty store, then over the existing rows. */
async function write(
  what: string,
  store: SinkStore,
  changes: readonly Change[],
  entries?: { readonly perRow: number; readonly aim: Figure['aim'] },
): Promise<Figure[]> {
  const id = { sink: 'bench', topic: what, partition: 0 };
  const { epoch, nextOffset } = await store.open(id);
  let offset = nextOffset;
  const figures: Figure[] = [];
  for (const pass of ['new', 'changed']) {
    const spent = stopwatch();
    for (let from = 0; from < changes.length; from += ROWS_PER_BATCH) {
      const part = changes.slice(from, from + ROWS_PER_BATCH);
      const at = Date.now();
      const batch = { id, epoch, expectedOffset: offset, nextOffset: offset + part.length, incarnation: 'bench', at };
      const result = await store.apply(batch, part);
      if (result !== 'applied') throw new Error(`the store answered ${result}: it is shared with others`);
      offset += part.length;
    }
    const { seconds, cpuSeconds } = spent();
    figures.push(
      { name: `${what}, ${pass} rows`, value: changes.length / seconds, unit: 'rows/s' },
      { name: `${what}, ${pass} rows`, value: changes.length / cpuSeconds, unit: 'rows/CPU-s of ours' },
    );
    if (entries === undefined) continue;
    const { perRow, aim } = entries;
    const value = (perRow * changes.length) / seconds;
    figures.push({ name: `${what}, ${pass} rows`, value, unit: 'entries/s', ...(aim === undefined ? {} : { aim }) });
  }
  return figures;
}

async function read(what: string, one: (i: number) => Promise<void>): Promise<Figure> {
  const spent = stopwatch();
  for (let done = 0; done < READS; done += READS_AT_ONCE)
    await Promise.all(Array.from({ length: READS_AT_ONCE }, (_, i) => one(done + i)));
  return { name: what, value: READS / spent().seconds, unit: 'reads/s' };
}

function popularityChanges({ products, seed }: BenchOptions): Change<Popularity>[] {
  const random = new Random(seed);
  const as_of = Date.now();
  return Array.from({ length: products ?? PRODUCTS }, (_, i) => {
    const counts = { views: random.below(1000), add_to_carts: random.below(100), purchases: random.below(30) };
    const score = random.unit() * 1000 + 0.001;
    const value = { product_id: productId(i), category: categoryId(i % CATEGORIES), score, as_of, ...counts };
    return { key: value.product_id, value };
  });
}

function affinityChanges({ users, seed }: BenchOptions): Change<AffinityRow>[] {
  const random = new Random(seed);
  const asOf = Date.now();
  return Array.from({ length: users ?? USERS }, (_, i) => {
    const first = random.below(CATEGORIES);
    const categories = Array.from({ length: CATEGORIES_PER_USER }, (_, k) => categoryId((first + 7 * k) % CATEGORIES));
    const shares = categories.map(() => random.unit());
    return { key: userId(i), value: { userId: userId(i), asOf, categories, shares } };
  });
}
