/** Names that installations have stored: they must never change. And names of two versions, which must never meet. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SHARED_ONLINE, SHARED_TABLES } from '../../../publishing/sinks/groups.js';
import { allTopics } from '../../../topics/all.js';
import type { ApplicationSet } from '../../../topics/application-set.js';
import { corpusSet } from '../../../topics/corpus.js';
import { embeddingsSet } from '../../../topics/embeddings.js';
import { type FeatureSet, featureSet } from '../../../topics/feature-set.js';
import { RUNNING_SETS } from '../../../topics/running.js';
import type { TopicDeclaration } from '../../../topics/topic.js';

/** Its topics by their names. */
function named<Topics extends object>({ topics, ...rest }: ApplicationSet<Topics>) {
  const names = Object.entries(topics).map(([key, topic]) => [key, (topic as TopicDeclaration).name]);
  return { ...rest, topics: Object.fromEntries(names) as Record<keyof Topics, string> };
}

/** Every text in it, at whatever depth. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

describe('names of version 1', () => {
  test('of the features', () => {
    assert.deepEqual(named(featureSet(1)), {
      version: 1,
      application: 'features.v1',
      topics: {
        popularity: 'popularity.v1',
        affinity: 'affinity.v1',
        interactions: 'interactions.v1',
        productActivity: 'features.v1.product-activity',
        activityChangelog: 'features.v1.activity-changelog',
        popularityChangelog: 'features.v1.popularity-changelog',
      },
      sinks: {
        redis: { sink: 'features.v1.redis', group: 'features.v1.redis-sink' },
        postgres: { sink: 'features.v1.postgres', group: 'features.v1.postgres-sink' },
      },
      keys: {
        popularityAll: 'popularity:v1:all',
        popularityCategoryPrefix: 'popularity:v1:cat:',
        popularityGroups: 'popularity:v1:category',
        popularityDay: 'popularity:v1:day',
        affinityUserPrefix: 'affinity:v1:user:',
        affinityAsOf: 'affinity:v1:as_of',
        interactionsUserPrefix: 'interactions:v1:user:',
      },
      tables: { popularity: 'product_popularity_v1', affinity: 'user_affinity_v1' },
    });
  });

  test('of the corpus and the embeddings', () => {
    assert.deepEqual(named(corpusSet(1)), {
      version: 1,
      application: 'corpus.v1',
      topics: {
        terms: 'terms',
        termChanges: 'corpus.v1.term-changes',
        documentsChangelog: 'corpus.v1.documents-changelog',
        termsChangelog: 'corpus.v1.terms-changelog',
      },
    });
    assert.deepEqual(named(embeddingsSet(1)), {
      version: 1,
      application: 'embeddings.v1',
      topics: { embeddings: 'embeddings', embeddingsChangelog: 'embeddings.v1.embeddings-changelog' },
    });
  });

  test('are those that run, next to what has no version', () => {
    assert.deepEqual(RUNNING_SETS, {
      features: [featureSet(1)],
      corpus: corpusSet(1),
      embeddings: embeddingsSet(1),
    });
    assert.deepEqual(SHARED_ONLINE, { sink: 'shared.redis', group: 'shared.redis-sink' });
    assert.deepEqual(SHARED_TABLES, { sink: 'tables.postgres', group: 'tables.postgres-sink' });
  });
});

describe('two versions', () => {
  const namesOf = (set: ApplicationSet<object>) => textsOf(named(set));

  test('of the features share no name, and none lies under a prefix of the other', () => {
    const sets = [1, 2, 10, 11, 21].map(featureSet);
    for (const one of sets)
      for (const other of sets.filter((set) => set !== one))
        for (const name of namesOf(other)) {
          assert.ok(!namesOf(one).includes(name), name);
          for (const prefix of prefixesOf(one)) assert.ok(!name.startsWith(prefix), `${name} lies under ${prefix}`);
        }
  });

  test('of the corpus share the topic of terms alone, and those of the embeddings that of vectors', () => {
    const shared = (one: ApplicationSet<object>, other: ApplicationSet<object>) =>
      namesOf(one).filter((name) => namesOf(other).includes(name));
    assert.deepEqual(shared(corpusSet(1), corpusSet(2)), ['terms']);
    assert.deepEqual(shared(embeddingsSet(1), embeddingsSet(2)), ['embeddings']);
  });

  test('of the features are declared next to each other', () => {
    const two = allTopics({ ...RUNNING_SETS, features: [featureSet(1), featureSet(2)] }).map(({ name }) => name);
    const one = allTopics().map(({ name }) => name);
    assert.deepEqual(
      two.filter((name) => !one.includes(name)),
      Object.values(named(featureSet(2)).topics),
    );
    assert.deepEqual(
      one.filter((name) => !two.includes(name)),
      [],
    );
  });
});

/** What ids are put behind in keys, and what transactional ids and internal topics begin with. */
function prefixesOf({ application, keys }: FeatureSet): string[] {
  return [`${application}.`, keys.popularityCategoryPrefix, keys.affinityUserPrefix, keys.interactionsUserPrefix];
}
