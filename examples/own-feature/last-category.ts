/** A custom feature: the category that each user viewed last. */
import { avroSchema, defineKeyedFold, ownTopic, producerTopics } from 'freshet-pipeline';

export interface LastCategory {
  category: string;
  ts: number;
}

const LastCategory = avroSchema<LastCategory>({
  type: 'record',
  name: 'LastCategory',
  namespace: 'shop',
  fields: [
    { name: 'category', type: 'string' },
    { name: 'ts', type: { type: 'long', logicalType: 'timestamp-millis' } },
  ],
});

export const lastCategories = ownTopic({
  name: 'last-category.v1',
  doc: 'The category that a user viewed last.',
  key: 'user_id',
  schema: LastCategory,
  cleanup: 'compact',
  owner: 'last-category',
});

export const lastCategory = defineKeyedFold({
  name: 'last-category',
  input: producerTopics.events,
  output: lastCategories,
  state: LastCategory,
  init: () => ({ category: '', ts: 0 }),
  fold: (last, { value: { event_type, category, ts } }) =>
    event_type === 'view' && category !== null && ts >= last.ts ? { category, ts } : last,
  emit: (_user, last) => (last.ts === 0 ? null : last),
});
