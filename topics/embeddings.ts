/** The embeddings application: products as vectors. */
import type { ApplicationSet } from './application-set.js';
import { CHANGELOG_SETTINGS, FEATURE_SETTINGS, type TopicDeclaration, topic } from './topic.js';

/** One topic for all versions, whichever model computed the vectors; each record names its model. */
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

interface EmbeddingsTopics {
  readonly embeddings: TopicDeclaration;
  /** What is embedded is in `embeddings` itself; this topic has only the progress of each task. */
  readonly embeddingsChangelog: TopicDeclaration;
}

export type EmbeddingsSet = ApplicationSet<EmbeddingsTopics>;

/** Version n of the embeddings application. */
export function embeddingsSet(version: number): EmbeddingsSet {
  const application = `embeddings.v${version}`;
  const embeddingsChangelog = topic({
    name: `${application}.embeddings-changelog`,
    doc: 'The marker of each embeddings task.',
    key: '!marker',
    schema: 'Marker',
    cleanup: 'compact',
    settings: CHANGELOG_SETTINGS,
    feedsKeyedState: true,
    owner: 'embeddings',
  });
  return { version, application, topics: { embeddings, embeddingsChangelog } };
}
