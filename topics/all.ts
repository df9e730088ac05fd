/** Every topic of a deployment, in the order in which data passes through them. */
import { corpusTopics } from './corpus.js';
import { embeddings, embeddingsChangelog } from './embeddings.js';
import { deadLetters, documents, erasures, events, lateEvents, products, users } from './events.js';
import { featureTopics } from './features.js';
import { runRequests, runResults } from './jobs.js';
import { releases } from './releases.js';
import type { TopicDeclaration } from './topic.js';

/** All declarations, with the features application at `version`. */
export function allTopics(version = 1): TopicDeclaration[] {
  const all = [
    events,
    products,
    documents,
    users,
    ...Object.values(featureTopics(version)),
    ...Object.values(corpusTopics(1)),
    embeddings,
    embeddingsChangelog,
    releases,
    runRequests,
    runResults,
    lateEvents,
    deadLetters,
    erasures,
  ];
  const names = new Set<string>();
  for (const { name } of all) {
    if (names.has(name)) throw new Error(`topic "${name}" is declared twice`);
    names.add(name);
  }
  return all as TopicDeclaration[];
}
