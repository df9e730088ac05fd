/** A member of the corpus application on real Kafka; reports the progress of its tasks until it is asked to end. */
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { createCorpus } from '../../processors/corpus/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { createLogger } from '../../runtime/process/logger.js';
import { taskMetrics } from '../../runtime/tasks/metrics.js';
import { Codec } from '../../schemas/codec.js';
import { corpusSet } from '../../topics/corpus.js';
import { peakMemoryMib, stopwatch } from './cpu.js';
import { input, tell } from './worker.js';

export interface CorpusMemberInput {
  readonly settings: Readonly<Record<string, string>>;
}

export interface CorpusPositions {
  readonly kind: 'positions';
  readonly positions: readonly { readonly processor: string; readonly partition: number; readonly offset: number }[];
  /** So far, in this process. */
  readonly cpuSeconds: number;
  readonly memoryMib: number;
}

const TELL_MS = 50;

const settings = loadSettings((await input<CorpusMemberInput>()).settings);
const logger = createLogger('warn');
const reporting = openReporting(logger);
const log = await openKafkaLog(settings, logger);
const spent = stopwatch();
const corpus = createCorpus({ set: corpusSet(1), log, codec: new Codec(), settings, ...reporting, clock: systemClock });
await corpus.start();
const telling = setInterval(async () => {
  const { values } = await taskMetrics(reporting.metrics).position.get();
  const positions = values.map(({ labels, value }) => ({
    processor: String(labels.processor),
    partition: Number(labels.partition),
    offset: value,
  }));
  const { cpuSeconds } = spent();
  tell({ kind: 'positions', positions, cpuSeconds, memoryMib: peakMemoryMib() } satisfies CorpusPositions);
}, TELL_MS);

process.once('SIGTERM', async () => {
  clearInterval(telling);
  await corpus.stop();
  await log.close();
  process.exit(0);
});
