/** The corpus application: documents in, document frequencies per language and term out. */
import type { ApplicationSet } from './application-set.js';
import { REKEY_PARTITIONS } from './features.js';
import { CHANGELOG_SETTINGS, FEATURE_SETTINGS, type TopicDeclaration, topic } from './topic.js';

export interface CorpusTopics {
  /** One topic for all versions. */
  readonly terms: TopicDeclaration;
  /** Repartitioning from document to term: the changes of each commit. */
  readonly termChanges: TopicDeclaration;
  readonly documentsChangelog: TopicDeclaration;
  readonly termsChangelog: TopicDeclaration;
}

export type CorpusSet = ApplicationSet<CorpusTopics>;

/** Version n of the corpus application. */
export function corpusSet(version: number): CorpusSet {
  const application = `corpus.v${version}`;
  return { version, application, topics: corpusTopics(application) };
}

function corpusTopics(application: string): CorpusTopics {
  const changelog = { cleanup: 'compact', settings: CHANGELOG_SETTINGS, feedsKeyedState: true } as const;
  return {
    terms: topic({
      name: 'terms',
      doc: 'Documents per language, term and source.',
      key: 'language/shard',
      schema: 'Terms',
      cleanup: 'compact',
      settings: FEATURE_SETTINGS,
      owner: 'corpus-terms',
      readers: ['stopwords'],
    }),
    termChanges: topic({
      name: `${application}.term-changes`,
      doc: 'Re-key hop: how many documents each commit added to or removed from a term.',
      key: 'language/shard',
      schema: 'TermChanges',
      partitions: REKEY_PARTITIONS,
      cleanup: 'delete',
      retentionDays: 7,
      logAppendTime: true,
      owner: 'corpus',
      readers: ['corpus-terms'],
      feedsKeyedState: true,
    }),
    documentsChangelog: topic({
      ...changelog,
      name: `${application}.documents-changelog`,
      doc: 'Language, source and terms of each document, and the marker of each task.',
      key: 'd/<doc_id> or !marker',
      schema: 'DocumentTerms',
      owner: 'corpus',
    }),
    termsChangelog: topic({
      ...changelog,
      name: `${application}.terms-changelog`,
      doc: 'Documents per term and source, and the marker of each task.',
      key: 't/<language>/<term> or !marker',
      schema: 'TermRow',
      partitions: REKEY_PARTITIONS,
      owner: 'corpus-terms',
    }),
  };
}
