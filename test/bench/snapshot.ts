/**
 * One run of the stopwords from the request to the switch: terms of 50 languages in the embedded log, lent to the run's
 * separate process, and published to a real Postgres and, if installed, a Redis.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { snapshotterOf } from '../../assembly/snapshotters.js';
import type { Run } from '../../jobs/runs.js';
import { Worker } from '../../jobs/worker.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { createVersions } from '../../publishing/versions/create.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openStores } from '../../runtime/stores/open-stores.js';
import { Codec } from '../../schemas/codec.js';
import type { Terms } from '../../schemas/records.js';
import { snapshotJobs } from '../../snapshotters/snapshot-job.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { Random } from '../support/random.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';

const LANGUAGES = 50;
const SHARDS = 256;
const TERMS_PER_LANGUAGE = 40_000;
const DOCUMENTS = 20_000;
const SOURCES = ['', 'blog', 'manual', 'shop'];
/** Compaction is delayed for hours, so the topic also holds older records of every key. */
const RECORDS_PER_KEY = 3;
const MIB = 2 ** 20;

export const snapshot: Bench = {
  name: 'snapshot',
  what: 'a run of the stopwords, 50 languages: captured through a pipe, built in a separate process, published',
  async run(options: BenchOptions): Promise<Report[]> {
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
    try {
      return [await measure(folder, options)];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measure(folder: string, { seed, say }: BenchOptions): Promise<Report> {
  const settings = loadSettings({ FRESHET_DATA_DIR: folder, LOG_LEVEL: 'warn', STOPWORDS_CONFIDENCE_MIN: '0' });
  const log = await openEmbeddedLog(join(folder, 'log'), silentLogger);
  const stores = await openStores(settings, silentLogger);
  const codec = new Codec();
  const { database, store } = stores;
  const shared = { log, codec, settings, database, ...openReporting(silentLogger), clock: systemClock };
  try {
    await applyTopics(log.admin, allTopics(), { kind: log.kind });
    await migrateUp(database);
    say('writing terms');
    const written = await writeTerms(log, codec, seed);
    const versions = createVersions({ ...shared, store });
    const jobs = snapshotJobs([await snapshotterOf('stopwords')], { ...shared, versions });
    const worker = new Worker({ ...shared, jobs });
    const began = new Map<string, number>();
    const onProgress = ({ phase }: { phase: string }) => {
      if (!began.has(phase)) began.set(phase, performance.now());
    };
    say('running');
    const started = performance.now();
    const run = await worker.runOnce('stopwords', { dryRun: false, by: 'bench', onProgress });
    const ended = performance.now();
    await worker.stop();
    await versions.stop();
    if (run.status !== 'succeeded') throw new Error(`the run ${run.status}: ${JSON.stringify(run.result)}`);
    const seconds = (from: number, to: number) => (to - from) / 1_000;
    const [capture, build, publish] = ['capture', 'build', 'publish'].map((phase) => began.get(phase)!) as [
      number,
      number,
      number,
    ];
    const figures: Figure[] = [
      { name: 'the entire run', value: seconds(started, ended), unit: 's', aim: { atMost: 60 } },
      { name: 'process started', value: seconds(started, capture), unit: 's' },
      { name: 'captured', value: seconds(capture, build), unit: 's' },
      { name: 'captured, of the log', value: written.bytes / MIB / seconds(capture, build), unit: 'MiB/s' },
      { name: 'built and checked', value: seconds(build, publish), unit: 's' },
      { name: 'published and reported', value: seconds(publish, ended), unit: 's' },
      { name: 'words published', value: wordsOf(run), unit: 'words' },
    ];
    const title = `snapshot: ${LANGUAGES} languages, ${LANGUAGES * TERMS_PER_LANGUAGE} terms, ${written.records} records`;
    return { title, figures, notes: [stores.describe.store, stores.describe.database] };
  } finally {
    await stores.close();
    await log.close();
  }
}

function wordsOf({ result }: Run): number {
  return Number(result?.['stopwords_updated']);
}

/** Document frequencies like those of a language: by rank, the rarer half in one source only. */
async function writeTerms(log: Log, codec: Codec, seed: number): Promise<{ records: number; bytes: number }> {
  const random = new Random(seed);
  const writer = await log.writer(['terms']);
  const sum = { records: 0, bytes: 0 };
  for (let round = 0; round < RECORDS_PER_KEY; round++) {
    for (let one = 0; one < LANGUAGES; one++) {
      const language = `l${String.fromCharCode(97 + Math.floor(one / 26), 97 + (one % 26))}`;
      for (let shard = 0; shard < SHARDS; shard++) {
        const value = codec.encode('Terms', termsOf(language, shard, random));
        writer.add('terms', Buffer.from(`${language}/${shard}`), value, { timestamp: Date.now() });
        sum.records++;
        sum.bytes += value.length;
        if (writer.bufferedBytes > MIB) await writer.flush();
      }
    }
  }
  await writer.flush();
  await writer.close();
  return sum;
}

function termsOf(language: string, shard: number, random: Random): Terms {
  const terms: Terms['terms'] = [];
  for (let rank = shard; rank < TERMS_PER_LANGUAGE; rank += SHARDS) {
    const frequency = Math.max(1, Math.floor((0.9 * DOCUMENTS) / SOURCES.length / (1 + rank / 60)));
    const documents = SOURCES.map((_, source) => {
      const spread = rank < 8_000 || source === rank % SOURCES.length;
      return spread ? Math.max(1, frequency - random.below(1 + frequency / 8)) : 0;
    });
    terms.push({ term: `${language}word${rank}`, documents });
  }
  const all = ({ documents }: Terms['terms'][number]) => documents.reduce((sum, count) => sum + count, 0);
  terms.sort((a, b) => all(b) - all(a));
  return {
    language,
    shard,
    as_of: Date.now(),
    sources: SOURCES,
    totals: shard === 0 ? SOURCES.map(() => DOCUMENTS / SOURCES.length) : [],
    terms,
    omitted: 0,
    omitted_documents_max: 0,
  };
}
