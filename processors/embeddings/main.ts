/** Starts the embeddings application: the model, then the tasks that this member is given. */

import type { Log } from '../../runtime/log/log.js';
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import { openEmbedder } from '../../runtime/models/embedder/open-embedder.js';
import type { EmbedderSettings } from '../../runtime/models/embedder/settings.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Service } from '../../runtime/process/service.js';
import { Application } from '../../runtime/tasks/application.js';
import type { AwaitedDeclaration } from '../../runtime/tasks/awaited-work.js';
import type { TaskSettings } from '../../runtime/tasks/settings.js';
import type { Codec } from '../../schemas/codec.js';
import { embeddings, embeddingsChangelog } from '../../topics/embeddings.js';
import { deadLetters, products } from '../../topics/events.js';
import { EmbeddingWork } from './embedding-work.js';
import { embeddingMetrics } from './metrics.js';

/** Names the group and the transactional ids. */
export const EMBEDDINGS_APPLICATION = 'embeddings.v1';

export function embeddingsProcessor(embedder: Embedder, metrics: Metrics): AwaitedDeclaration {
  const { products: outcomes } = embeddingMetrics(metrics);
  return {
    name: 'embeddings',
    application: EMBEDDINGS_APPLICATION,
    input: products.name,
    changelog: embeddingsChangelog.name,
    writes: [embeddings.name, embeddingsChangelog.name, deadLetters.name],
    createWork: (options) =>
      new EmbeddingWork({ ...options, embedder, onOutcome: (outcome) => outcomes.inc({ outcome }) }),
  };
}

export interface EmbeddingsOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly settings: Pick<TaskSettings, 'COMMIT_INTERVAL_MS'> & EmbedderSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Shared with others and theirs to close; without it start() opens the one of the settings. */
  readonly embedder?: Embedder;
}

export interface Embeddings extends Service {
  /** Null until start() has loaded the model. */
  readonly application: Application | null;
}

/**
 * The embeddings application as a service; start() resolves when the group is joined, not when all is embedded. It
 * throws a sentence when the model's files are missing or damaged.
 */
export function createEmbeddings(options: EmbeddingsOptions): Embeddings {
  const { log, codec, settings, logger, metrics, events, clock } = options;
  let application: Application | null = null;
  let own: Embedder | null = null;
  return {
    name: EMBEDDINGS_APPLICATION,
    get application() {
      return application;
    },
    start: async () => {
      if (options.embedder === undefined) own = await openEmbedder({ ...embedderOptions(settings), logger, metrics });
      const embedder = options.embedder ?? own!;
      application = new Application({
        name: EMBEDDINGS_APPLICATION,
        processors: [embeddingsProcessor(embedder, metrics)],
        log,
        codec,
        logger,
        metrics,
        events,
        clock,
        commitIntervalMs: settings.COMMIT_INTERVAL_MS,
        changelogIntervalMs: 1_000,
      });
      await application.start();
    },
    stop: async () => {
      await application?.stop();
      await own?.close();
      own = null;
    },
  };
}

/** What openEmbedder() takes of the settings. */
function embedderOptions(settings: EmbedderSettings): {
  modelFolder: string | null;
  threads: number;
} {
  return { modelFolder: settings.EMBEDDING_MODEL_DIR ?? null, threads: settings.EMBEDDING_THREADS };
}
