/** Which versions of the applications run. */
import { type CorpusSet, corpusSet } from './corpus.js';
import { type EmbeddingsSet, embeddingsSet } from './embeddings.js';
import { type FeatureSet, featureSet } from './feature-set.js';

export interface RunningSets {
  /** They run next to each other over the same log; code that needs one of them uses the first. */
  readonly features: readonly [FeatureSet, ...FeatureSet[]];
  readonly corpus: CorpusSet;
  readonly embeddings: EmbeddingsSet;
}

/** What every process of this release runs. */
export const RUNNING_SETS: RunningSets = {
  features: [featureSet(1)],
  corpus: corpusSet(1),
  embeddings: embeddingsSet(1),
};
