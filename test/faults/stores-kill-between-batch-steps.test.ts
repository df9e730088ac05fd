/**
 * I5: kill -9 between every two steps of a sink's batch, into Redis and into Postgres. After every kill each store
 * holds exactly the contents of the topics below the store's offset, and in the end all of them.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Layout } from '../../publishing/layout.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { runScript } from '../support/processes.js';
import { Random } from '../support/random.js';
import { startPostgres } from '../support/services/postgres.js';
import { type Before, newestRows } from '../support/stores/feature-rows.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import type { PublisherJob } from '../support/stores/publisher-process.js';
import { assertNothing, checkOnline, checkTables } from '../support/stores/store-checker.js';
import type { FaultPoint } from './harness/fault-points.js';
import { seed } from './harness/report.js';

const POINTS: readonly FaultPoint[] = ['sink.opened', 'sink.batch_taken', 'sink.batch_applied', 'sink.batch_noted'];
const STORES = ['features.v1.redis', 'features.v1.postgres'] as const;
const CHANGES = 300;
/** Both topics have four partitions: a publisher takes over at least this many, and applies a batch of each. */
const PASSING_MAX = 8;
const SCRIPT = new URL('../support/stores/publisher-process.js', import.meta.url);

test('killed between any two steps of a batch', { timeout: 60_000 }, async (t) => {
  const redis = await OwnRedis.open();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.close());
  const postgres = await startPostgres();
  t.after(() => postgres.stop());
  const database = await openPostgres({ url: postgres.url }, silentLogger);
  t.after(() => database.close());
  await migrateUp(database);
  const store = await openRedis(redis.options, silentLogger);
  t.after(() => store.close());
  const logFolder = await mkdtemp(join(tmpdir(), 'freshet-faults-'));
  t.after(() => rm(logFolder, { recursive: true, force: true }));
  const opened = async <T>(work: (log: Log) => Promise<T>) => {
    const log = await openEmbeddedLog(logFolder, silentLogger);
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  };
  await opened((log) => applyTopics(log.admin, allTopics(), { kind: log.kind }));

  const random = new Random(seed);
  /** Runs a publisher to its end; returns whether it finished. */
  const publish = async (steps: PublisherJob['steps']) => {
    const own = { changes: CHANGES, seed: random.below(2 ** 31), steps };
    const job: PublisherJob = { logFolder, redis: redis.options, postgresUrl: postgres.url, ...own };
    const child = runScript(SCRIPT, [JSON.stringify(job)]);
    t.after(() => child.kill('SIGKILL'));
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    assert.equal(signal ?? code, steps.length > 0 ? 'SIGKILL' : 0);
  };
  const positionsIn = async (sink: (typeof STORES)[number]): Promise<Before> => {
    const held = new Map<string, number>();
    for (const { topic, partition, next_offset } of await database.query<{
      topic: string;
      partition: number;
      next_offset: number;
    }>('SELECT topic, partition, next_offset FROM sink_offsets WHERE sink = $1', [sink]))
      held.set(`${topic}/${partition}`, next_offset);
    return (topic, partition) => held.get(`${topic}/${partition}`) ?? 0;
  };
  const positionsOnline = async (log: Log): Promise<Before> => {
    const held = new Map<string, number>();
    for (const topic of ['popularity.v1', 'affinity.v1'])
      for (let partition = 0; partition < (await log.partitionCount(topic)); partition++) {
        const position = await store.position({ sink: STORES[0], topic, partition });
        held.set(`${topic}/${partition}`, position?.nextOffset ?? 0);
      }
    return (topic, partition) => held.get(`${topic}/${partition}`) ?? 0;
  };
  const check = (when: string) =>
    opened(async (log) => {
      const online = await newestRows(log, await positionsOnline(log));
      assertNothing(`in Redis ${when}`, await checkOnline(store, new Layout(), online));
      assertNothing(
        `in Postgres ${when}`,
        await checkTables(database, await newestRows(log, await positionsIn(STORES[1]))),
      );
    });

  // The first run is a rebuild: if interrupted, it starts over, and claims nothing until it is complete.
  await publish([{ point: 'sink.batch_applied', passing: 1 + random.below(PASSING_MAX), does: 'kill' }]);
  await publish([]);
  await check('after the first run');
  for (const where of STORES) {
    for (const point of POINTS) {
      const passing = 1 + random.below(PASSING_MAX);
      await publish([{ point, where, passing, does: 'kill' }]);
      await check(`after a kill at ${point} of ${where}, passing ${passing} (seed ${seed})`);
    }
  }
  await publish([]);
  await check('in the end');
  await opened(async (log) => {
    const all = await newestRows(log);
    assertNothing('in Redis', await checkOnline(store, new Layout(), all));
    assertNothing('in Postgres', await checkTables(database, all));
    assert.equal(all.records, (STORES.length * POINTS.length + 3) * 2 * CHANGES);
  });
});
