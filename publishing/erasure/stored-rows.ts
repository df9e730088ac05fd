/** Where the stores hold a subject by its id, and the progress of the sinks that write it there. */
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore, SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import { products, users } from '../../topics/events.js';
import type { FeatureSet, SinkNames } from '../../topics/feature-set.js';
import type { Subject } from '../../topics/subject.js';
import { Layout } from '../layout.js';
import { isWhole } from '../live/position-plan.js';
import { SHARED_TABLES } from '../sinks/groups.js';
import { tablePosition } from '../sinks/table-sink-store.js';

export interface HeldRow {
  readonly what: string;
  readonly where: 'online store' | 'database';
  /** The topic that brings it there. */
  readonly topic: string;
  /** The sink's next offset; null before it has applied anything, and while it is being rebuilt. */
  position(partition: number): Promise<number | null>;
  isThere(): Promise<boolean>;
}

interface StoresOf {
  readonly store: OnlineStore | null;
  readonly database: Queryable | null;
  readonly keyPrefix: string;
  readonly sets: readonly FeatureSet[];
}

/** Everything that the known stores hold under the subject's id. */
export function heldRows({ kind, id }: Subject, { store, database, keyPrefix, sets }: StoresOf): HeldRow[] {
  const layout = new Layout(keyPrefix);
  return kind === 'user'
    ? [
        ...sets.flatMap((set) => userFeatures(id, set, layout, store, database)),
        ...(database === null ? [] : [tableRow(database, SHARED_TABLES, 'user', users.name, 'users', 'user_id', id)]),
      ]
    : [
        ...sets.flatMap((set) => productFeatures(id, set, layout, store, database)),
        ...(database === null
          ? []
          : [tableRow(database, SHARED_TABLES, 'product', products.name, 'catalogue', 'product_id', id)]),
      ];
}

function userFeatures(
  id: string,
  set: FeatureSet,
  layout: Layout,
  store: OnlineStore | null,
  database: Queryable | null,
): HeldRow[] {
  const topic = set.topics.affinity.name;
  const keys = layout.features(set);
  const isThere = async (online: OnlineStore) =>
    (await online.hget(keys.affinityAsOf, id)) !== null || (await online.hgetall(keys.affinityUser(id))).size > 0;
  const hasInteractions = async (online: OnlineStore) => (await online.get(keys.interactionsUser(id))) !== null;
  return [
    ...(store === null
      ? []
      : [
          onlineRow(store, set.sinks.redis, 'affinity', topic, isThere),
          onlineRow(store, set.sinks.redis, 'interactions', set.topics.interactions.name, hasInteractions),
        ]),
    ...(database === null
      ? []
      : [tableRow(database, set.sinks.postgres, 'affinity', topic, set.tables.affinity, 'user_id', id)]),
  ];
}

function productFeatures(
  id: string,
  set: FeatureSet,
  layout: Layout,
  store: OnlineStore | null,
  database: Queryable | null,
): HeldRow[] {
  const topic = set.topics.popularity.name;
  const keys = layout.features(set);
  // A product enters and leaves its category's ranking together with the hash of categories, in one operation.
  const isThere = async (online: OnlineStore) =>
    (await online.zscore(keys.popularityAll, id)) !== null ||
    (await online.hget(keys.popularityGroups, id)) !== null ||
    (await online.hget(keys.popularityDay, id)) !== null;
  return [
    ...(store === null ? [] : [onlineRow(store, set.sinks.redis, 'popularity', topic, isThere)]),
    ...(database === null
      ? []
      : [tableRow(database, set.sinks.postgres, 'popularity', topic, set.tables.popularity, 'product_id', id)]),
  ];
}

function onlineRow(
  store: OnlineStore,
  { sink }: SinkNames,
  what: string,
  topic: string,
  isThere: (store: OnlineStore) => Promise<boolean>,
): HeldRow {
  const position = async (partition: number) => nextOf(await store.position({ sink, topic, partition }));
  return { what, where: 'online store', topic, position, isThere: () => isThere(store) };
}

function tableRow(
  database: Queryable,
  { sink }: SinkNames,
  what: string,
  topic: string,
  table: string,
  key: string,
  id: string,
): HeldRow {
  const position = async (partition: number) => {
    const at: SinkId = { sink, topic, partition };
    return nextOf(await tablePosition(database, at));
  };
  const isThere = async () => (await database.query(`SELECT 1 FROM ${table} WHERE ${key} = $1`, [id])).length > 0;
  return { what, where: 'database', topic, position, isThere };
}

function nextOf(held: SinkPosition | null): number | null {
  return held !== null && isWhole(held) ? held.nextOffset : null;
}

/** Dead letters in Postgres of records with this key. A letter about a record without its key cannot be found. */
export async function lettersOf(database: Queryable, key: Buffer): Promise<number> {
  const [row] = await database.query<{ letters: number }>(LETTERS, [key]);
  return row?.letters ?? 0;
}

const LETTERS = 'SELECT count(*)::int8 AS letters FROM dead_letters WHERE record_key = $1::bytea';
