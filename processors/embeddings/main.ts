/** Starts the embeddings application: the model, then the tasks that are assigned to this member. */
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import { openEmbedder } from '../../runtime/models/embedder/open-embedder.js';
import type { EmbedderSettings } from '../../runtime/models/embedder/settings.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Service } from '../../runtime/process/service.js';
import type { Application } from '../../runtime/tasks/application.js';
import type { AwaitedDeclaration } from '../../runtime/tasks/awaited-work.js';
import type { TaskSettings } from '../../runtime/tasks/settings.js';
import type { EmbeddingsSet } from '../../topics/embeddings.js';
import { deadLetters, products } from '../../topics/events.js';
import { applicationOf, type ProcessorsOptions } from '../application.js';
import { EmbeddingWork } from './embedding-work.js';
import { embeddingMetrics } from './metrics.js';

export function embeddingsProcessor(set: EmbeddingsSet, embedder: Embedder, metrics: Metrics): AwaitedDeclaration {
  const { embeddings, embeddingsChangelog } = set.topics;
  const { products: outcomes } = embeddingMetrics(metrics);
  return {
    name: 'embeddings',
    application: set.application,
    input: products.name,
    changelog: embeddingsChangelog.name,
    writes: [embeddings.name, embeddingsChangelog.name, deadLetters.name],
    createWork: (options) =>
      new EmbeddingWork({ ...options, embedder, onOutcome: (outcome) => outcomes.inc({ outcome }) }),
  };
}

interface EmbeddingsOptions extends ProcessorsOptions {
  readonly set: EmbeddingsSet;
  readonly settings: TaskSettings & EmbedderSettings;
  /** Shared, and closed by its owner; without it, start() opens the model of the settings. */
  readonly embedder?: Embedder;
}

interface Embeddings extends Service {
  /** Null until start() has loaded the model. */
  readonly application: Application | null;
}

/**
 * One version of the embeddings application as a service; start() resolves when it has joined the group, not when
 * everything is embedded. It throws with a sentence when the model's files are missing or damaged.
 */
export function createEmbeddings(options: EmbeddingsOptions): Embeddings {
  const { set, settings, logger, metrics } = options;
  let application: Application | null = null;
  let own: Embedder | null = null;
  return {
    name: set.application,
    get application() {
      return application;
    },
    start: async () => {
      if (options.embedder === undefined) own = await openEmbedder({ ...embedderOptions(settings), logger, metrics });
      const embedder = options.embedder ?? own!;
      application = applicationOf(set.application, [embeddingsProcessor(set, embedder, metrics)], options);
      await application.start();
    },
    stop: async () => {
      await application?.stop();
      await own?.close();
      own = null;
    },
  };
}

/** The options of openEmbedder() that come from the settings. */
function embedderOptions(settings: EmbedderSettings): {
  modelFolder: string | null;
  threads: number;
} {
  return { modelFolder: settings.EMBEDDING_MODEL_DIR ?? null, threads: settings.EMBEDDING_THREADS };
}
