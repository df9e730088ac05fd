/** The role `processor`: the applications of built-in folds and the embeddings, each with the tasks assigned to it. */
import { join } from 'node:path';
import { createCorpus } from '../../processors/corpus/main.js';
import { createEmbeddings } from '../../processors/embeddings/main.js';
import { createProcessors, type FeatureProcessors } from '../../processors/features/main.js';
import { prepareDataFolder } from '../../runtime/process/data-folder.js';
import { asError } from '../../runtime/process/errors.js';
import type { Application } from '../../runtime/tasks/application.js';
import type { Ground } from './ground.js';

/** The applications of this process. */
export interface Applications {
  /** One for each set. */
  readonly features: readonly FeatureProcessors[];
  readonly corpus: Application;
  readonly embeddings: Application;
}

export async function startProcessors(ground: Ground): Promise<Applications> {
  const checkpoints = await checkpointFolder(ground);
  const { sets } = ground;
  const features = sets.features.map((set) => createProcessors({ ...ground, ...checkpoints, set }));
  for (const one of features) await ground.start(one);
  const corpus = createCorpus({ ...ground, ...checkpoints, set: sets.corpus });
  await ground.start(corpus);
  const embeddings = createEmbeddings({ ...ground, set: sets.embeddings });
  await ground.start(embeddings);
  return { features, corpus: corpus.application, embeddings: embeddings.application! };
}

/** No lock is needed: a task belongs to one process, and processes on one machine may use each other's checkpoints. */
async function checkpointFolder({ settings, logger }: Ground): Promise<{ checkpointFolder?: string }> {
  const { FRESHET_DATA_DIR, CHECKPOINT_INTERVAL_S } = settings;
  if (CHECKPOINT_INTERVAL_S === 0) return {};
  try {
    await prepareDataFolder(FRESHET_DATA_DIR);
    return { checkpointFolder: join(FRESHET_DATA_DIR, 'checkpoints') };
  } catch (error) {
    logger.warn({ event: 'checkpoints_off', error: asError(error).message });
    return {};
  }
}
