/** Every topic of a deployment, in the order in which data passes through them. */
import { deadLetters, documents, erasures, events, lateEvents, products, skips, users } from './events.js';
import { runRequests, runResults } from './jobs.js';
import { releases } from './releases.js';
import { RUNNING_SETS, type RunningSets } from './running.js';
import type { TopicDeclaration } from './topic.js';

/** All declarations, with those of the given versions of the applications; by default the running ones. */
export function allTopics({ features, corpus, embeddings }: RunningSets = RUNNING_SETS): TopicDeclaration[] {
  const all = [
    events,
    products,
    documents,
    users,
    ...features.flatMap(({ topics }) => Object.values(topics)),
    ...Object.values(corpus.topics),
    ...Object.values(embeddings.topics),
    releases,
    runRequests,
    runResults,
    lateEvents,
    deadLetters,
    erasures,
    skips,
  ];
  const names = new Set<string>();
  for (const { name } of all) {
    if (names.has(name)) throw new Error(`topic "${name}" is declared twice`);
    names.add(name);
  }
  return all as TopicDeclaration[];
}
