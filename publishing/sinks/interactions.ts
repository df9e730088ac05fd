/** Interactions: one text per user in the online store; nothing in Postgres, where nothing reads them. */
import type { FeatureSet } from '../../topics/feature-set.js';
import { decodeId, type Layout } from '../layout.js';
import type { OnlineSink } from './declaration.js';
import { type InteractionsRow, interactionsReader } from './interactions-row.js';

export function interactionsOnline(set: FeatureSet, layout: Layout): OnlineSink<InteractionsRow> {
  const keys = layout.features(set);
  const prefix = keys.interactionsUserPrefix;
  return {
    kind: 'online',
    topic: {
      name: set.topics.interactions.name,
      schema: 'Interactions',
      read: interactionsReader(),
      idOf: (row) => row.userId,
      problem: (row) => row.problem,
      checksPartition: true,
    },
    operations: (user, row) => {
      const key = keys.interactionsUser(user);
      return [row === null ? { op: 'del', key } : { op: 'set', key, value: row.text }];
    },
    keys: async (store) => (await store.keys(prefix)).map((key) => decodeId(key.slice(prefix.length))),
  };
}
