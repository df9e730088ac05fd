/** Where the stores hold a subject by its id, and how far the sinks that write it there have progressed. */
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore, SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import { products, users } from '../../topics/events.js';
import { featureTopics } from '../../topics/features.js';
import type { Subject } from '../../topics/subject.js';
import { affinityTable, Layout, popularityTable } from '../layout.js';
import { isWhole } from '../live/position-plan.js';
import { onlineGroup, PRODUCER_TABLES_GROUP, tableGroup } from '../sinks/groups.js';
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
  readonly versions: readonly number[];
}

/** Everything that the known stores hold under the subject's id. */
export function heldRows({ kind, id }: Subject, { store, database, keyPrefix, versions }: StoresOf): HeldRow[] {
  const layout = new Layout(keyPrefix);
  return kind === 'user'
    ? [
        ...versions.flatMap((version) => userFeatures(id, version, layout, store, database)),
        ...(database === null
          ? []
          : [tableRow(database, PRODUCER_TABLES_GROUP, 'user', users.name, 'users', 'user_id', id)]),
      ]
    : [
        ...versions.flatMap((version) => productFeatures(id, version, layout, store, database)),
        ...(database === null
          ? []
          : [tableRow(database, PRODUCER_TABLES_GROUP, 'product', products.name, 'catalogue', 'product_id', id)]),
      ];
}

function userFeatures(
  id: string,
  version: number,
  layout: Layout,
  store: OnlineStore | null,
  database: Queryable | null,
): HeldRow[] {
  const { affinity, interactions } = featureTopics(version);
  const topic = affinity.name;
  const isThere = async (online: OnlineStore) =>
    (await online.hget(layout.affinityAsOf(version), id)) !== null ||
    (await online.hgetall(layout.affinityUser(version, id))).size > 0;
  const hasInteractions = async (online: OnlineStore) =>
    (await online.get(layout.interactionsUser(version, id))) !== null;
  return [
    ...(store === null
      ? []
      : [
          onlineRow(store, version, 'affinity', topic, isThere),
          onlineRow(store, version, 'interactions', interactions.name, hasInteractions),
        ]),
    ...(database === null
      ? []
      : [tableRow(database, tableGroup(version), 'affinity', topic, affinityTable(version), 'user_id', id)]),
  ];
}

function productFeatures(
  id: string,
  version: number,
  layout: Layout,
  store: OnlineStore | null,
  database: Queryable | null,
): HeldRow[] {
  const topic = featureTopics(version).popularity.name;
  // A product enters and leaves its category's ranking together with the hash of categories, in one operation.
  const isThere = async (online: OnlineStore) =>
    (await online.zscore(layout.popularityAll(version), id)) !== null ||
    (await online.hget(layout.popularityGroups(version), id)) !== null ||
    (await online.hget(layout.popularityDay(version), id)) !== null;
  return [
    ...(store === null ? [] : [onlineRow(store, version, 'popularity', topic, isThere)]),
    ...(database === null
      ? []
      : [tableRow(database, tableGroup(version), 'popularity', topic, popularityTable(version), 'product_id', id)]),
  ];
}

function onlineRow(
  store: OnlineStore,
  version: number,
  what: string,
  topic: string,
  isThere: (store: OnlineStore) => Promise<boolean>,
): HeldRow {
  const position = async (partition: number) =>
    nextOf(await store.position({ sink: onlineGroup(version), topic, partition }));
  return { what, where: 'online store', topic, position, isThere: () => isThere(store) };
}

function tableRow(
  database: Queryable,
  sink: string,
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
