/** Starts the applications, features and corpus: the tasks of every processor that this member is given. */

import type { Log } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import { type Service, startAll, stopAll } from '../runtime/process/service.js';
import type { Settings } from '../runtime/process/settings.js';
import { Application } from '../runtime/tasks/application.js';
import { Checkpoints } from '../runtime/tasks/checkpoints.js';
import type { ProcessorDeclaration } from '../runtime/tasks/processor.js';
import type { Codec } from '../schemas/codec.js';
import { corpusTopics } from '../topics/corpus.js';
import { featureTopics } from '../topics/features.js';
import { corpusProcessor, corpusTermsProcessor } from './corpus/processor.js';
import { activityProcessor } from './features/activity/processor.js';
import { Catalogue } from './features/catalogue/catalogue.js';
import { popularityProcessor } from './features/popularity/processor.js';

const HOUR_MS = 3_600_000;
/** The corpus is an application of its own: a replay of the features leaves it alone. */
const CORPUS_VERSION = 1;

export interface ProcessorsOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Version of the features application: its topics, group and transactional ids carry it. */
  readonly version: number;
  /** Where tasks keep their checkpoints; without it they are restored from the changelog. */
  readonly checkpointFolder?: string;
}

export interface Processors extends Service {
  readonly application: Application;
}

/** The features application as a service; start() resolves when the group is joined, not when tasks are restored. */
export function createProcessors(options: ProcessorsOptions): Processors {
  const { log, codec, settings, logger, metrics, clock, version } = options;
  const topics = featureTopics(version);
  const application = `features.v${version}`;
  const catalogue = new Catalogue({ log, codec, logger, clock });
  const activity = activityProcessor({
    application,
    topics,
    codec,
    catalogue,
    settings: {
      popularityHalfLifeMs: settings.POPULARITY_HALF_LIFE_H * HOUR_MS,
      affinityHalfLifeMs: settings.AFFINITY_HALF_LIFE_H * HOUR_MS,
      duplicateHorizonMs: settings.DUPLICATE_HORIZON_H * HOUR_MS,
      interactionsIntervalMs: settings.INTERACTIONS_INTERVAL_S * 1_000,
    },
    onIntake: (outcome, records) => metrics.intake.inc({ outcome }, records),
  });
  const popularity = popularityProcessor({
    application,
    topics,
    codec,
    catalogue,
    halfLifeMs: settings.POPULARITY_HALF_LIFE_H * HOUR_MS,
  });
  const tasks = applicationOf(application, [activity, popularity], options);
  const services = [catalogue, tasks];
  return {
    name: application,
    application: tasks,
    start: () => startAll(services),
    stop: () => stopAll(services),
  };
}

/** What the corpus needs of ProcessorsOptions. */
export type CorpusOptions = Omit<ProcessorsOptions, 'version'>;

/** The corpus application (`corpus.v1`) as a service: documents in, document frequencies per language and term out. */
export function createCorpus(options: CorpusOptions): Processors {
  const { codec, settings, metrics } = options;
  const application = `corpus.v${CORPUS_VERSION}`;
  const shared = { application, topics: corpusTopics(CORPUS_VERSION), codec };
  const corpus = corpusProcessor({
    ...shared,
    onDocuments: (outcome, documents) => metrics.corpusDocuments.inc({ outcome }, documents),
  });
  const terms = corpusTermsProcessor({ ...shared, intervalMs: settings.TERMS_INTERVAL_S * 1_000 });
  const tasks = applicationOf(application, [corpus, terms], options);
  return { name: application, application: tasks, start: () => tasks.start(), stop: () => tasks.stop() };
}

function applicationOf(name: string, processors: readonly ProcessorDeclaration[], options: CorpusOptions): Application {
  const { log, codec, settings, logger, metrics, clock } = options;
  return new Application({
    name,
    processors,
    log,
    codec,
    logger,
    metrics,
    clock,
    commitIntervalMs: settings.COMMIT_INTERVAL_MS,
    changelogIntervalMs: settings.CHANGELOG_INTERVAL_S * 1_000,
    checkpoints: checkpointsOf(options),
  });
}

function checkpointsOf(options: CorpusOptions): Checkpoints | null {
  const { checkpointFolder: folder, settings, logger, metrics, clock } = options;
  if (folder === undefined || settings.CHECKPOINT_INTERVAL_S === 0) return null;
  return new Checkpoints({ folder, intervalMs: settings.CHECKPOINT_INTERVAL_S * 1_000, logger, metrics, clock });
}
