/**
 * A publisher in a separate process, for tests that kill it: it writes some changes, publishes everything, and prints
 * `settled` when both stores have it, unless its plan ends it before. Argument: PublisherJob as JSON.
 */
import { openReporting } from '../../../assembly/reporting.js';
import { loadSettings } from '../../../assembly/settings.js';
import { createPublisher } from '../../../publishing/live/publisher.js';
import { openEmbeddedLog } from '../../../runtime/log/embedded/log.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { takeFaultPoints } from '../../../runtime/process/fault-points.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { openPostgres } from '../../../runtime/stores/postgres/postgres.js';
import { openRedis, type RedisOptions } from '../../../runtime/stores/redis/redis.js';
import { featureSet } from '../../../topics/feature-set.js';
import { type FaultStep, hookOf } from '../../faults/harness/plan.js';
import { codec, endsOf } from '../publishing.js';
import { FEATURE_TOPICS, FeatureWriter } from './feature-rows.js';

export interface PublisherJob {
  readonly logFolder: string;
  readonly redis: RedisOptions;
  readonly postgresUrl: string;
  readonly changes: number;
  readonly seed: number;
  readonly steps: readonly FaultStep[];
}

const { logFolder, redis, postgresUrl, changes, seed, steps } = JSON.parse(process.argv[2]!) as PublisherJob;
const log = await openEmbeddedLog(logFolder, silentLogger);
await new FeatureWriter(log, seed).write(changes);
takeFaultPoints(hookOf({ steps }));
const publisher = createPublisher({
  log,
  store: await openRedis(redis, silentLogger),
  database: await openPostgres({ url: postgresUrl }, silentLogger),
  codec,
  settings: loadSettings({ POSTGRES_COALESCE_MS: '20' }),
  ...openReporting(silentLogger),
  clock: systemClock,
  sets: [featureSet(1)],
});
await publisher.start();
for (const topic of FEATURE_TOPICS) await publisher.awaitApplied(topic, await endsOf(log, topic));
console.log('settled');
await publisher.stop();
await log.close();
process.exit(0);
