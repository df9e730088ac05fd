/** A thread that reads stopwords continuously, like a caller of serving: time and version of each read. */
import { parentPort, workerData } from 'node:worker_threads';
import { createFeatureReader } from '../../publishing/reading/reader.js';
import { systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';

export interface VersionReaderInput {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly keyPrefix: string;
  readonly languages: readonly string[];
}

/** Sent once, after any message to the thread. */
export interface VersionReaderResult {
  readonly latenciesMs: Float64Array;
  readonly mixed: number;
  readonly missing: number;
  /** How often the version differed from that of the previous read. */
  readonly changes: number;
}

const input = workerData as VersionReaderInput;
const store = await openRedis({ url: input.redisUrl, keyPrefix: input.keyPrefix }, silentLogger);
const database = await openPostgres({ url: input.databaseUrl, connectionsMax: 1 }, silentLogger);
const reader = createFeatureReader({ store, database, keyPrefix: input.keyPrefix, clock: systemClock });
let isOver = false;
parentPort!.once('message', () => {
  isOver = true;
});

const latencies: number[] = [];
const found = { mixed: 0, missing: 0, changes: 0 };
let last = 0;
for (let i = 0; !isOver; i++) {
  const started = performance.now();
  const list = await reader.stopwords(input.languages[i % input.languages.length]!);
  latencies.push(performance.now() - started);
  if (list === null) {
    found.missing++;
    continue;
  }
  const ending = `.${list.version}`;
  if (!Object.keys(list.words).every((word) => word.endsWith(ending))) found.mixed++;
  if (last !== 0 && list.version !== last) found.changes++;
  last = list.version;
}
await store.close();
await database.close();
parentPort!.postMessage({ latenciesMs: Float64Array.from(latencies), ...found } satisfies VersionReaderResult);
