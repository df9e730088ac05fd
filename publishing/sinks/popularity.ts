/** Popularity: two rankings, the category and the day of each product in the online store; a row in Postgres. */
import type { Popularity } from '../../schemas/records.js';
import { featureTopics } from '../../topics/features.js';
import { encodeId, type Layout, popularityTable, rankScore } from '../layout.js';
import { utcDay } from '../utc-day.js';
import { MS_AS_TIME, type OnlineSink, type TableSink } from './declaration.js';
import { type KeyedTopic, problemOf } from './keyed-topic.js';

function popularityTopic(version: number): KeyedTopic<Popularity> {
  return {
    name: featureTopics(version).popularity.name,
    schema: 'Popularity',
    idOf: (row) => row.product_id,
    problem: ({ category, score, as_of, views, add_to_carts, purchases }) =>
      problemOf({ texts: { category }, amounts: { score, views, add_to_carts, purchases }, times: { as_of } }),
    checksPartition: true,
  };
}

/** `halfLifeMs` belongs to the version: it is part of every ranking's scores. */
export function popularityOnline(version: number, layout: Layout, halfLifeMs: number): OnlineSink<Popularity> {
  const all = layout.popularityAll(version);
  const groups = layout.popularityGroups(version);
  const prefix = layout.popularityCategoryPrefix(version);
  const day = layout.popularityDay(version);
  return {
    kind: 'online',
    topic: popularityTopic(version),
    operations: (member, row) => {
      if (row === null)
        return [
          { op: 'zrem', key: all, member },
          { op: 'regroup', groups, prefix, member, group: null, score: 0 },
          { op: 'hdel', key: day, field: member },
        ];
      const score = rankScore(row.score, row.as_of, halfLifeMs);
      return [
        { op: 'zadd', key: all, member, score },
        { op: 'regroup', groups, prefix, member, group: encodeId(row.category), score },
        { op: 'hset', key: day, field: member, value: String(utcDay(row.as_of)) },
      ];
    },
    keys: async (store) => (await store.hgetall(groups)).keys(),
  };
}

export function popularityRows(version: number): TableSink<Popularity> {
  return {
    kind: 'table',
    topic: popularityTopic(version),
    table: popularityTable(version),
    key: 'product_id',
    columns: [
      { name: 'category', type: 'text', value: (row) => row.category },
      { name: 'score', type: 'float8', value: (row) => row.score },
      { name: 'as_of', type: 'float8', as: MS_AS_TIME, value: (row) => row.as_of },
      { name: 'views', type: 'int8', value: (row) => row.views },
      { name: 'add_to_carts', type: 'int8', value: (row) => row.add_to_carts },
      { name: 'purchases', type: 'int8', value: (row) => row.purchases },
    ],
    forgetsUnseen: true,
  };
}
