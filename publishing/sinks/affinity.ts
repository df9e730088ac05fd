/** Affinity: a hash category → score per user in the online store, with the time of each row; a row in Postgres. */
import { featureTopics } from '../../topics/features.js';
import { affinityTable, decodeId, type Layout } from '../layout.js';
import { type AffinityRow, affinityReader } from './affinity-row.js';
import { MS_AS_TIME, type OnlineSink, type TableSink } from './declaration.js';
import { type KeyedTopic, problemOf } from './keyed-topic.js';

function affinityTopic(version: number): KeyedTopic<AffinityRow> {
  return {
    name: featureTopics(version).affinity.name,
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

export function affinityOnline(version: number, layout: Layout): OnlineSink<AffinityRow> {
  const asOf = layout.affinityAsOf(version);
  const prefix = layout.affinityUserPrefix(version);
  return {
    kind: 'online',
    topic: affinityTopic(version),
    operations: (user, row) => {
      const key = layout.affinityUser(version, user);
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

export function affinityRows(version: number): TableSink<AffinityRow> {
  return {
    kind: 'table',
    topic: affinityTopic(version),
    table: affinityTable(version),
    key: 'user_id',
    columns: [
      { name: 'as_of', type: 'float8', as: MS_AS_TIME, value: (row) => row.asOf },
      { name: 'scores', type: 'jsonb', value: ({ categories, shares }) => ({ names: categories, values: shares }) },
    ],
    forgetsUnseen: true,
  };
}
