/** Products as vectors: one compacted topic for all models; each record names its model. */
import { CHANGELOG_SETTINGS, FEATURE_SETTINGS, topic } from './topic.js';

export const embeddings = topic({
  name: 'embeddings',
  doc: 'Text of products as vectors.',
  key: 'product_id',
  schema: 'Embedding',
  cleanup: 'compact',
  settings: FEATURE_SETTINGS,
  owner: 'embeddings',
  readers: ['faiss'],
});

/** The vectors themselves are in `embeddings`; this topic holds only the progress of each task. */
export const embeddingsChangelog = topic({
  name: 'embeddings.v1.embeddings-changelog',
  doc: 'The marker of each embeddings task.',
  key: '!marker',
  schema: 'Marker',
  cleanup: 'compact',
  settings: CHANGELOG_SETTINGS,
  feedsKeyedState: true,
  owner: 'embeddings',
});
