/** Affinity: a hash category → score per user in the online store, with the time of each row; a row in Postgres. */
import type { Affinity } from '../../schemas/records.js';
import { featureTopics } from '../../topics/features.js';
import { affinityTable, decodeId, type Layout } from '../layout.js';
import { MS_AS_TIME, type OnlineSink, type TableSink } from './declaration.js';
import { type KeyedTopic, problemOf } from './keyed-topic.js';

function affinityTopic(version: number): KeyedTopic<Affinity> {
  return {
    name: featureTopics(version).affinity.name,
    schema: 'Affinity',
    idOf: (row) => row.user_id,
    problem: ({ as_of, scores }) => {
      for (const category in scores)
        if (category.includes('\0')) return `category ${JSON.stringify(category)} holds a NUL character`;
      return problemOf({ amounts: scores, times: { as_of } });
    },
    checksPartition: true,
  };
}

export function affinityOnline(version: number, layout: Layout): OnlineSink<Affinity> {
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
        { op: 'hreplace', key, fields: Object.entries(row.scores).map(([name, score]) => [name, String(score)]) },
        { op: 'hset', key: asOf, field: user, value: String(row.as_of) },
      ];
    },
    keys: async (store) => {
      const users = new Set((await store.keys(prefix)).map((key) => decodeId(key.slice(prefix.length))));
      for (const user of (await store.hgetall(asOf)).keys()) users.add(user);
      return users;
    },
  };
}

export function affinityRows(version: number): TableSink<Affinity> {
  return {
    kind: 'table',
    topic: affinityTopic(version),
    table: affinityTable(version),
    key: 'user_id',
    columns: [
      { name: 'as_of', type: 'float8', as: MS_AS_TIME, value: (row) => row.as_of },
      { name: 'scores', type: 'text', as: '$::jsonb', value: (row) => JSON.stringify(row.scores) },
    ],
    forgetsUnseen: true,
  };
}
