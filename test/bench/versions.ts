/**
 * Publishing stopwords at full size, and switching between two versions while others read: the cost, what readers
 * notice, and whether any of them ever sees a mixture. Every word contains the number of its version.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings, type Settings } from '../../assembly/settings.js';
import { Layout } from '../../publishing/layout.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { createVersions } from '../../publishing/versions/create.js';
import { MANIFEST_FILE } from '../../publishing/versions/manifest.js';
import { StagingBatches } from '../../publishing/versions/staging.js';
import type { Build, Versions } from '../../publishing/versions/versions.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore, StoreOperation } from '../../runtime/stores/online-store.js';
import { artifactsFolder } from '../../runtime/stores/settings.js';
import { Codec } from '../../schemas/codec.js';
import { featureSet } from '../../topics/feature-set.js';
import { categoryId, productId } from '../support/load.js';
import { Random } from '../support/random.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { percentile } from './percentiles.js';
import { openDatabase, openRedisStore, type RedisPlace } from './places.js';
import { openLogPlace } from './sink-load.js';
import type { VersionReaderInput, VersionReaderResult } from './versions-reader.js';

const LANGUAGES = Array.from({ length: 50 }, (_, i) => `l${String(i).padStart(2, '0')}`);
const WORDS = 3_000;
const SWITCHES = 1_000;
const READERS = 2;
const ROLLBACKS = 50;
const PRODUCTS = 100_000;
const CATEGORIES = 50;
const PRODUCTS_PER_BATCH = 1_000;
const KEY_PREFIX = 'bench:';

export const versions: Bench = {
  name: 'versions',
  what: 'publishing 150,000 stopwords of 50 languages, switching and rolling back under readers, staging products',
  async run(options: BenchOptions): Promise<Report[]> {
    const redis = await openRedisStore();
    const { database, url: databaseUrl, close: closeDatabase } = await openDatabase();
    const { log, close: closeLog } = await openLogPlace();
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-versions-'));
    const settings = loadSettings({ REDIS_KEY_PREFIX: KEY_PREFIX, ARTIFACTS_DIR: folder });
    await migrateUp(database);
    const machine = createVersions({
      ...{ database, store: redis.store, log, codec: new Codec(), settings, clock: systemClock },
      ...openReporting(silentLogger),
    });
    try {
      await machine.start();
      const published = await publishing(machine, settings, options);
      const switched = await switching(machine, redis, database, databaseUrl, options);
      const report = {
        title: `versions: ${LANGUAGES.length} languages of ${WORDS} stopwords in Redis and Postgres`,
        figures: [...published, ...switched],
        notes: [
          `${READERS} threads read one language at a time through the product's reader, ${WORDS} words a read, on the same host.`,
          'A rollback counts until Postgres has decided, Redis has followed and the log has the record.',
        ],
      };
      return [report, await staging(redis.store, options)];
    } finally {
      await machine.stop();
      await closeLog();
      await closeDatabase();
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function publishing(machine: Versions, settings: Settings, { say, seed }: BenchOptions): Promise<Figure[]> {
  const seconds: number[] = [];
  for (const version of [1, 2, 3]) {
    const build = await buildOf(version, settings, new Random(seed + version));
    say(`publishing version ${version}`);
    const started = performance.now();
    await machine.publish(build, { epoch: 1 });
    seconds.push((performance.now() - started) / 1000);
  }
  return [
    {
      name: 'publish: files checked, staged, read back, switched; median of 3',
      value: percentile(seconds, 0.5),
      unit: 's',
    },
  ];
}

async function buildOf(version: number, settings: Settings, random: Random): Promise<Build> {
  const folder = join(artifactsFolder(settings), '.work', `run-${version}`);
  await mkdir(folder, { recursive: true });
  const lines: string[] = [];
  for (const language of LANGUAGES)
    for (let i = 0; i < WORDS; i++) {
      const confidence = Number((1 - (i + random.unit()) / WORDS).toFixed(6));
      const numbers = { confidence, idf: 8 * random.unit(), document_frequency: random.below(1_000_000) };
      lines.push(JSON.stringify({ language, word: `word${i}.${version}`, ...numbers }));
    }
  const text = Buffer.from(`${lines.join('\n')}\n`);
  const file = { name: 'stopwords.jsonl', bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') };
  const manifest: Build['manifest'] = {
    ...{ artefact: 'stopwords', run_id: `run-${version}`, created_at: new Date().toISOString(), code_version: 'bench' },
    ...{ inputs: [], settings: {}, counts: { words: lines.length }, figures: {}, checks: [], files: [file] },
  };
  await writeFile(join(folder, file.name), text);
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
  return { artefact: 'stopwords', folder, manifest };
}

async function switching(
  machine: Versions,
  { url: redisUrl, store }: RedisPlace,
  database: Database,
  databaseUrl: string,
  { say }: BenchOptions,
): Promise<Figure[]> {
  const input: VersionReaderInput = { redisUrl, databaseUrl, keyPrefix: KEY_PREFIX, languages: LANGUAGES };
  say('reads without switches');
  const calm = await whileReading(input, () => systemClock.sleep(5_000));
  say(`${SWITCHES} switches under readers`);
  const scripts: number[] = [];
  const keys = new Layout(KEY_PREFIX).versioned('stopwords');
  const checksums = await database.query<{ version: number; checksum: string }>(
    'SELECT version, checksum FROM versions ORDER BY version',
  );
  const decisions: number[] = [];
  const busy = await whileReading(input, async () => {
    for (let i = 0; i < SWITCHES; i++) {
      const started = performance.now();
      await machine.rollback('stopwords');
      decisions.push(performance.now() - started);
    }
  });
  say(`${ROLLBACKS} rollbacks without readers, and only the store's part`);
  const alone: number[] = [];
  for (let i = 0; i < ROLLBACKS; i++) {
    const started = performance.now();
    await machine.rollback('stopwords');
    alone.push(performance.now() - started);
  }
  // The reconciler would repair the pointer, because it does not know these tokens.
  await machine.stop();
  for (let seq = 1; seq <= ROLLBACKS; seq++) {
    const { version, checksum } = checksums[1 + (seq % 2)]!;
    const started = performance.now();
    const token = { timeline: 9, seq };
    const result = await store.switchVersion(keys, { version, token, checksum, settings: null });
    if (result !== 'switched') throw new Error(`A switch to version ${version} was answered with ${result}.`);
    scripts.push(performance.now() - started);
  }
  return [
    { name: 'switch in Redis only, p50', value: percentile(scripts, 0.5), unit: 'ms' },
    { name: 'switch in Redis only, longest', value: percentile(scripts, 1), unit: 'ms', aim: { atMost: 50 } },
    { name: 'rollback end to end, p50', value: percentile(alone, 0.5), unit: 'ms' },
    { name: 'rollback end to end under readers, p50', value: percentile(decisions, 0.5), unit: 'ms' },
    {
      name: 'rollback end to end under readers, longest',
      value: percentile(decisions, 1),
      unit: 'ms',
      aim: { atMost: 1_000 },
    },
    ...readFigures('read without switches', calm),
    ...readFigures(`read under ${SWITCHES} switches`, busy),
    { name: 'reads under switches', value: busy.latenciesMs.length, unit: '' },
    { name: 'changes of version seen', value: busy.changes, unit: '' },
    { name: 'mixed reads', value: busy.mixed, unit: '', aim: { atMost: 0 } },
    { name: 'reads that found nothing', value: busy.missing, unit: '', aim: { atMost: 0 } },
  ];
}

function readFigures(name: string, { latenciesMs }: VersionReaderResult): Figure[] {
  return [
    { name: `${name}, p50`, value: percentile(latenciesMs, 0.5), unit: 'ms' },
    { name: `${name}, p99`, value: percentile(latenciesMs, 0.99), unit: 'ms' },
    { name: `${name}, longest`, value: percentile(latenciesMs, 1), unit: 'ms' },
  ];
}

async function whileReading(input: VersionReaderInput, work: () => Promise<void>): Promise<VersionReaderResult> {
  const threads = Array.from(
    { length: READERS },
    () => new Worker(new URL('./versions-reader.js', import.meta.url), { workerData: input }),
  );
  const results = threads.map(
    (thread) =>
      new Promise<VersionReaderResult>((resolve, reject) => {
        thread.once('message', resolve);
        thread.once('error', reject);
      }),
  );
  await work();
  for (const thread of threads) thread.postMessage('stop');
  const all = await Promise.all(results);
  const sum = (of: (result: VersionReaderResult) => number) => all.reduce((total, result) => total + of(result), 0);
  return {
    latenciesMs: Float64Array.from(all.flatMap(({ latenciesMs }) => [...latenciesMs])),
    mixed: sum(({ mixed }) => mixed),
    missing: sum(({ missing }) => missing),
    changes: sum(({ changes }) => changes),
  };
}

/** A complete popularity version as it would be staged: a ranking and two hashes, in fenced batches. */
async function staging(store: OnlineStore, { say, seed, products = PRODUCTS }: BenchOptions): Promise<Report> {
  const count = products ?? PRODUCTS;
  say(`staging ${count} products`);
  const layout = new Layout(KEY_PREFIX);
  const seconds: number[] = [];
  for (const version of [7, 8, 9]) {
    const keys = layout.features(featureSet(version));
    const random = new Random(seed);
    const rows = Array.from({ length: count }, (_, i) => ({ id: productId(i), score: 1_000 * random.unit() }));
    const place = { store, clock: systemClock } as Parameters<typeof StagingBatches.open>[0];
    const started = performance.now();
    const batches = await StagingBatches.open(place, { artefact: 'popularity', version });
    for (let from = 0; from < rows.length; from += PRODUCTS_PER_BATCH) {
      const operations: StoreOperation[] = [];
      for (const [i, { id, score }] of rows.slice(from, from + PRODUCTS_PER_BATCH).entries())
        operations.push(
          { op: 'zadd', key: keys.popularityAll, member: id, score },
          { op: 'hset', key: keys.popularityGroups, field: id, value: categoryId((from + i) % CATEGORIES) },
          { op: 'hset', key: keys.popularityDay, field: id, value: '20000' },
        );
      await batches.send(operations);
    }
    await batches.finish();
    seconds.push((performance.now() - started) / 1000);
  }
  return {
    title: `versions: staging ${count.toLocaleString('en-US')} products in Redis, a sorted set and two hashes`,
    figures: [{ name: 'staged, median of 3', value: percentile(seconds, 0.5), unit: 's', aim: { atMost: 1 } }],
    notes: [`Batches of ${PRODUCTS_PER_BATCH} products in one script each, two in flight.`],
  };
}
