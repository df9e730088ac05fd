/** Affinity: a hash category → score per user in the online store, with the time of each row; a row in Postgres. */
import type { FeatureSet } from '../../topics/feature-set.js';
import { decodeId, type Layout } from '../layout.js';
import { type AffinityRow, affinityReader } from './affinity-row.js';
import { MS_AS_TIME, type OnlineSink, type TableSink } from './declaration.js';
import { type KeyedTopic, problemOf } from './keyed-topic.js';

function affinityTopic({ topics }: FeatureSet): KeyedTopic<AffinityRow> {
  return {
    name: topics.affinity.name,
    schema: 'Affinity',
    read: affinityReader(),
    idOf: (row) => row.userId,
    problem: ({ asOf, categories, shares }) => {
      for (const [i, category] of categories.entries()) {
        if (category.includes('\0')) return `category ${JSON.stringify(category)} contains a NUL character`;
        if (!(shares[i]! >= 0 && shares[i]! < Number.POSITIVE_INFINITY))
          return `${category} is ${shares[i]}: it must be a number of at least 0`;
      }
      return problemOf({ times: { as_of: asOf } });
    },
    checksPartition: true,
  };
}

export function affinityOnline(set: FeatureSet, layout: Layout): OnlineSink<AffinityRow> {
  const keys = layout.features(set);
  const { affinityAsOf: asOf, affinityUserPrefix: prefix } = keys;
  return {
    kind: 'online',
    topic: affinityTopic(set),
    operations: (user, row) => {
      const key = keys.affinityUser(user);
      if (row === null)
        return [
          { op: 'del', key },
          { op: 'hdel', key: asOf, field: user },
        ];
      return [
        { op: 'hnumbers', key, fields: row.categories, values: row.shares },
        { op: 'hset', key: asOf, field: user, value: String(row.asOf) },
      ];
    },
    keys: async (store) => {
      const users = new Set((await store.keys(prefix)).map((key) => decodeId(key.slice(prefix.length))));
      for (const user of (await store.hgetall(asOf)).keys()) users.add(user);
      return users;
    },
  };
}

export function affinityRows(set: FeatureSet): TableSink<AffinityRow> {
  return {
    kind: 'table',
    topic: affinityTopic(set),
    table: set.tables.affinity,
    key: 'user_id',
    columns: [
      { name: 'as_of', type: 'float8', as: MS_AS_TIME, value: (row) => row.asOf },
      { name: 'scores', type: 'jsonb', value: ({ categories, shares }) => ({ names: categories, values: shares }) },
    ],
    forgetsUnseen: true,
  };
}
