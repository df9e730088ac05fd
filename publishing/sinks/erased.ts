/**
 * The subjects that asked to be erased, and when, in both stores: a version that was built before still contains what
 * it learned about them and is immutable, so its readers skip them.
 */
import type { Erasure } from '../../schemas/records.js';
import { erasures } from '../../topics/events.js';
import { decodeId, type Layout } from '../layout.js';
import { MS_AS_TIME, type OnlineSink, type TableSink } from './declaration.js';
import { type KeyedTopic, problemOf } from './keyed-topic.js';

const TOPIC: KeyedTopic<Erasure> = {
  name: erasures.name,
  schema: 'Erasure',
  idOf: (row) => row.subject,
  problem: ({ requested_at }) => problemOf({ times: { requested_at } }),
  checksPartition: true,
};

export function erasedOnline(layout: Layout): OnlineSink<Erasure> {
  const prefix = layout.erasedPrefix();
  return {
    kind: 'online',
    topic: TOPIC,
    operations: (subject, row) => {
      const key = layout.erased(subject);
      return [row === null ? { op: 'del', key } : { op: 'set', key, value: String(row.requested_at) }];
    },
    keys: async (store) => (await store.keys(prefix)).map((key) => decodeId(key.slice(prefix.length))),
  };
}

export const erasedRows: TableSink<Erasure> = {
  kind: 'table',
  topic: TOPIC,
  table: 'erased_subjects',
  key: 'subject',
  columns: [{ name: 'requested_at', type: 'float8', as: MS_AS_TIME, value: (row) => row.requested_at }],
  forgetsUnseen: true,
};
