/** Runs the features application until it has folded the initial contents of the log, and reports the cost. */
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { createProcessors } from '../../processors/features/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { createLogger } from '../../runtime/process/logger.js';
import { taskMetrics } from '../../runtime/tasks/metrics.js';
import { Codec } from '../../schemas/codec.js';
import { featureSet } from '../../topics/feature-set.js';
import { peakMemoryMib, stopwatch } from './cpu.js';
import { workEnds } from './feed.js';
import { input, tell } from './worker.js';

export interface EngineInput {
  readonly brokers: string;
  readonly partitions: number;
}

export interface EngineDone {
  readonly kind: 'done';
  /** Until every affinity was committed. */
  readonly affinitySeconds: number;
  /** Until every popularity was committed too, which is the end of the work. */
  readonly seconds: number;
  /** For this process, all threads, including joining the group and restoring nothing. */
  readonly cpuSeconds: number;
  readonly memoryMib: number;
  readonly commits: number;
}

const { brokers, partitions } = await input<EngineInput>();
const settings = loadSettings({ KAFKA_BROKERS: brokers, PARTITIONS: String(partitions) });
const logger = createLogger('warn');
const { metrics, events } = openReporting(logger);
const log = await openKafkaLog(settings, logger);
const ends = await workEnds(log, 'events');
const processors = createProcessors({
  log,
  codec: new Codec(),
  settings,
  logger,
  metrics,
  events,
  clock: systemClock,
  set: featureSet(1),
});
const { reached } = processors.application;

const spent = stopwatch();
await processors.start();
await reached.waitFor(ends);
const affinitySeconds = spent().seconds;
await reached.waitFor(await workEnds(log, featureSet(1).topics.productActivity.name));
const { seconds, cpuSeconds } = spent();
const commits = (await taskMetrics(metrics).commits.get()).values.reduce((sum, { value }) => sum + value, 0);
tell({ kind: 'done', affinitySeconds, seconds, cpuSeconds, memoryMib: peakMemoryMib(), commits } satisfies EngineDone);

process.once('SIGTERM', async () => {
  await processors.stop();
  await log.close();
  process.exit(0);
});
