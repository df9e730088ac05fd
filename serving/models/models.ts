/** The models that serving uses, kept at the current versions: each is loaded while the previous one still serves. */
import { type CurrentFolder, CurrentFolders } from '../../publishing/reading/current-folder.js';
import { createModelReader } from '../../publishing/reading/models.js';
import type { PublishingSettings } from '../../publishing/settings.js';
import { pinnedBy } from '../../publishing/versions/pins.js';
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import { openEmbedder } from '../../runtime/models/embedder/open-embedder.js';
import type { EmbedderSettings } from '../../runtime/models/embedder/settings.js';
import type { Clock } from '../../runtime/process/clock.js';
import { messageOf } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Service } from '../../runtime/process/service.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { type FaissVersion, openFaissVersion } from '../../snapshotters/faiss/faiss-version.js';
import type { FeatureReaders } from '../ports.js';
import { createAnswers, type ModelAnswers } from './answers.js';
import { type FactorVersion, openFactorVersion } from './factor-version.js';
import { type Closable, Slot } from './slot.js';

interface ModelsOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  readonly readers: Pick<FeatureReaders, 'popular' | 'stopwords' | 'stopwordLanguages'>;
  readonly settings: PublishingSettings & EmbedderSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

interface Models extends Service {
  readonly answers: ModelAnswers;
}

/** A search is abandoned after this time: a crash of its process delays requests no longer. */
const SEARCH_MS_MAX = 1_000;

/** start() waits for no model: until one is loaded, answers say so. */
export function createModels(options: ModelsOptions): Models {
  const { store, database, readers, settings, logger, metrics, clock } = options;
  const pinned = pinnedBy(settings);
  const onError = (error: unknown) => logger.error({ event: 'model_not_closed', error: messageOf(error) });
  const als = new Slot<FactorVersion>(onError);
  const faiss = new Slot<FaissVersion>(onError);
  const folders = new CurrentFolders({ store, database, settings, clock, logger });
  const searching = { logger, timeoutMs: SEARCH_MS_MAX };

  const follow = <T extends Closable>(artefact: 'als' | 'faiss', slot: Slot<T>, load: (folder: string) => Promise<T>) =>
    folders.follow(artefact, async ({ folder, version }: CurrentFolder) => slot.put(version, await load(folder)));
  follow('als', als, (folder) => openFactorVersion(folder, searching));
  follow('faiss', faiss, (folder) => openFaissVersion(folder, searching));

  let embedder: Promise<Embedder> | null = null;
  // A separate embedder: the one that embeds products may have a thousand of them ahead of a query.
  const queries = () => {
    embedder ??= openEmbedder({ modelFolder: settings.EMBEDDING_MODEL_DIR ?? null, threads: 1, logger, metrics });
    embedder.catch(() => {
      embedder = null;
    });
    return embedder;
  };
  const reader = createModelReader({ store, database, keyPrefix: settings.REDIS_KEY_PREFIX, pinned });
  return {
    name: 'models',
    answers: createAnswers({ als, faiss, reader, readers, embedder: queries, clock }),
    start: () => folders.start(),
    stop: async () => {
      await folders.stop();
      await Promise.all([als.close(), faiss.close()]);
      await (await embedder?.catch(() => null))?.close();
    },
  };
}
