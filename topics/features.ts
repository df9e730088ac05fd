/** Topics of the features application. All contain its version: a replay creates the next ones alongside. */
import { CHANGELOG_SETTINGS, FEATURE_SETTINGS, type TopicDeclaration, topic } from './topic.js';

/** The topics of one version of the features application (popularity, affinity, interactions share their tasks). */
export interface FeatureTopics {
  readonly popularity: TopicDeclaration;
  readonly affinity: TopicDeclaration;
  readonly interactions: TopicDeclaration;
  /** Repartitioning from user to product: the changes of each commit. */
  readonly productActivity: TopicDeclaration;
  readonly activityChangelog: TopicDeclaration;
  readonly popularityChangelog: TopicDeclaration;
}

/** Four in all: every transaction costs a control record per partition it touches. */
export const REKEY_PARTITIONS = 4;

/** Only for featureSet, which everything else uses. */
export function featureTopics(version: number, application: string): FeatureTopics {
  const feature = { cleanup: 'compact', settings: FEATURE_SETTINGS } as const;
  const changelog = {
    cleanup: 'compact,delete',
    retentionDays: 100,
    settings: CHANGELOG_SETTINGS,
    feedsKeyedState: true,
  } as const;
  return {
    popularity: topic({
      ...feature,
      name: `popularity.v${version}`,
      doc: 'Decayed popularity per product.',
      key: 'product_id',
      schema: 'Popularity',
      owner: 'popularity',
      readers: ['publishing'],
    }),
    affinity: topic({
      ...feature,
      name: `affinity.v${version}`,
      doc: 'Decayed interest per user and category, 0 to 1.',
      key: 'user_id',
      schema: 'Affinity',
      owner: 'activity',
      readers: ['publishing'],
    }),
    interactions: topic({
      ...feature,
      name: `interactions.v${version}`,
      doc: 'Decayed weight per user and product.',
      key: 'user_id',
      schema: 'Interactions',
      owner: 'activity',
      readers: ['publishing', 'als'],
    }),
    productActivity: topic({
      name: `${application}.product-activity`,
      doc: 'Re-key hop: what each commit added per product and day.',
      key: 'product_id',
      schema: 'ProductActivity',
      partitions: REKEY_PARTITIONS,
      cleanup: 'delete',
      retentionDays: 7,
      logAppendTime: true,
      owner: 'activity',
      readers: ['popularity'],
      feedsKeyedState: true,
    }),
    activityChangelog: topic({
      ...changelog,
      name: `${application}.activity-changelog`,
      doc: 'State per (user, day), and the marker of each activity task.',
      key: '<day>/<user_id> or !marker',
      schema: 'ActivityRow',
      owner: 'activity',
    }),
    popularityChangelog: topic({
      ...changelog,
      name: `${application}.popularity-changelog`,
      doc: 'State per (product, day), and the marker of each popularity task.',
      key: '<day>/<product_id> or !marker',
      schema: 'PopularityRow',
      partitions: REKEY_PARTITIONS,
      owner: 'popularity',
    }),
  };
}
