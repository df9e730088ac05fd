/** Popularity: two rankings, the category and the day of each product in the online store; a row in Postgres. */
import type { Popularity } from '../../schemas/records.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { encodeId, type Layout, rankScore } from '../layout.js';
import { utcDay } from '../utc-day.js';
import { MS_AS_TIME, type OnlineSink, type TableSink } from './declaration.js';
import { type KeyedTopic, problemOf } from './keyed-topic.js';

function popularityTopic({ topics }: FeatureSet): KeyedTopic<Popularity> {
  return {
    name: topics.popularity.name,
    schema: 'Popularity',
    idOf: (row) => row.product_id,
    problem: ({ category, score, as_of, views, add_to_carts, purchases }) =>
      problemOf({ texts: { category }, amounts: { score, views, add_to_carts, purchases }, times: { as_of } }),
    checksPartition: true,
  };
}

/** `halfLifeMs` belongs to the version: it is part of every ranking's scores. */
export function popularityOnline(set: FeatureSet, layout: Layout, halfLifeMs: number): OnlineSink<Popularity> {
  const keys = layout.features(set);
  const { popularityAll: all, popularityGroups: groups, popularityDay: day } = keys;
  const prefix = keys.popularityCategoryPrefix;
  return {
    kind: 'online',
    topic: popularityTopic(set),
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

export function popularityRows(set: FeatureSet): TableSink<Popularity> {
  return {
    kind: 'table',
    topic: popularityTopic(set),
    table: set.tables.popularity,
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
