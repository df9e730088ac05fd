/**
 * The processors in a separate process, for as long as the starter needs them: reports how long they took to become
 * ready, their progress and their cost, and skews their clock on request.
 */
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { createProcessors } from '../../processors/features/main.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { createLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import { featureSet } from '../../topics/feature-set.js';
import { SkewedClock } from '../support/manual-clock.js';
import { peakMemoryMib } from './cpu.js';
import { workEnds } from './feed.js';
import { input, tell } from './worker.js';

export interface FeaturesInput {
  readonly brokers: string;
  readonly partitions: number;
  /** Null: checkpoints are neither written nor read. */
  readonly checkpointFolder: string | null;
}

/** Sent once: every task has its state. */
export interface FeaturesReady {
  readonly kind: 'ready';
  /** Since the process began, including loading the program. */
  readonly seconds: number;
  readonly memoryMib: number;
}

/** Requested by any message of this kind. */
export interface FeaturesStanding {
  readonly kind: 'standing';
  /** Input records that are not folded yet. */
  readonly behind: number;
  readonly memoryMib: number;
  readonly peakMemoryMib: number;
  readonly stateHashes: readonly string[];
}

export type FeaturesRequest =
  /** Answered with 'caught-up' once everything now in the inputs is folded and committed. */
  | { readonly kind: 'catch-up' }
  /** Answered with 'standing'; hashing takes seconds at a million users. */
  | { readonly kind: 'standing'; readonly hashes: boolean }
  /** Answered with 'skewed': from now on the clock is ahead by this much. */
  | { readonly kind: 'skew'; readonly ms: number };

const READY_POLL_MS = 5;
const MIB = 1024 * 1024;

const { brokers, partitions, checkpointFolder } = await input<FeaturesInput>();
const settings = loadSettings({ KAFKA_BROKERS: brokers, PARTITIONS: String(partitions) });
const logger = createLogger('warn');
const clock = new SkewedClock(systemClock);
const log = await openKafkaLog(settings, logger);
const processors = createProcessors({
  log,
  codec: new Codec(),
  settings,
  ...openReporting(logger),
  clock,
  set: featureSet(1),
  ...(checkpointFolder === null ? {} : { checkpointFolder }),
});
const { application } = processors;
const memoryMib = () => process.memoryUsage().rss / MIB;

process.on('message', (request: FeaturesRequest) => void answer(request));
process.once('SIGTERM', async () => {
  await processors.stop();
  await log.close();
  process.exit(0);
});
await processors.start();
while (application.waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
tell<FeaturesReady>({ kind: 'ready', seconds: performance.now() / 1000, memoryMib: memoryMib() });

async function answer(request: FeaturesRequest): Promise<void> {
  switch (request.kind) {
    case 'catch-up':
      await application.reached.waitFor(await workEnds(log, 'events'));
      await application.reached.waitFor(await workEnds(log, featureSet(1).topics.productActivity.name));
      return tell({ kind: 'caught-up' });
    case 'skew':
      clock.skewMs = request.ms;
      return tell({ kind: 'skewed' });
    case 'standing': {
      const ends = [
        ...(await workEnds(log, 'events')),
        ...(await workEnds(log, featureSet(1).topics.productActivity.name)),
      ];
      const behind = ends.reduce((sum, end) => sum + Math.max(0, end.offset - application.reached.of(end)), 0);
      const stateHashes = request.hashes ? application.parts().map((part) => part.stateHash()) : [];
      tell<FeaturesStanding>({
        kind: 'standing',
        behind,
        memoryMib: memoryMib(),
        peakMemoryMib: peakMemoryMib(),
        stateHashes,
      });
    }
  }
}
