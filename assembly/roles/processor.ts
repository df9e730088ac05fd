/** The role `processor`: the applications of built-in folds and the embeddings, each with the tasks it is given here. */
import { join } from 'node:path';
import { createCorpus } from '../../processors/corpus/main.js';
import { createEmbeddings } from '../../processors/embeddings/main.js';
import { createProcessors } from '../../processors/features/main.js';
import { prepareDataFolder } from '../../runtime/process/data-folder.js';
import { asError } from '../../runtime/process/errors.js';
import type { Application } from '../../runtime/tasks/application.js';
import type { Ground } from './ground.js';

/** The applications of this process. */
export interface Applications {
  readonly features: Application;
  readonly corpus: Application;
  readonly embeddings: Application;
}

export async function startProcessors(ground: Ground): Promise<Applications> {
  const checkpoints = await checkpointFolder(ground);
  const features = createProcessors({ ...ground, ...checkpoints });
  await ground.start(features);
  const corpus = createCorpus({ ...ground, ...checkpoints });
  await ground.start(corpus);
  const embeddings = createEmbeddings(ground);
  await ground.start(embeddings);
  return { features: features.application, corpus: corpus.application, embeddings: embeddings.application! };
}

/** No lock: a task belongs to one process, and several on one machine may find each other's. */
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
