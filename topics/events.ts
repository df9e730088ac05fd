/** Topics that producers write, and the topics for records that intake sets aside. */
import { INPUT_TABLE_SETTINGS, topic } from './topic.js';

export const events = topic({
  name: 'events',
  doc: 'What users do. A null value under a user_id asks to forget that user.',
  key: 'user_id',
  schema: 'Event',
  cleanup: 'delete',
  retentionDays: 100,
  logAppendTime: true,
  owner: 'producers',
  readers: ['activity', 'publishing'],
  feedsKeyedState: true,
});

export const products = topic({
  name: 'products',
  doc: 'The catalogue.',
  key: 'product_id',
  schema: 'Product',
  cleanup: 'compact',
  owner: 'producers',
  readers: ['activity', 'popularity', 'embeddings', 'publishing'],
  feedsKeyedState: true,
  settings: INPUT_TABLE_SETTINGS,
});

export const documents = topic({
  name: 'documents',
  doc: 'Texts for the language features.',
  key: 'doc_id',
  schema: 'Document',
  cleanup: 'compact',
  owner: 'producers',
  readers: ['corpus'],
  feedsKeyedState: true,
  settings: INPUT_TABLE_SETTINGS,
});

export const users = topic({
  name: 'users',
  doc: 'Users and their tenants.',
  key: 'user_id',
  schema: 'User',
  cleanup: 'compact',
  owner: 'producers',
  readers: ['publishing'],
  feedsKeyedState: true,
  settings: INPUT_TABLE_SETTINGS,
});

export const lateEvents = topic({
  name: 'late-events',
  doc: 'Events too old for the window when they reached the log.',
  key: 'user_id',
  schema: 'LateEvent',
  cleanup: 'delete',
  retentionDays: 30,
  owner: 'intake',
});

export const deadLetters = topic({
  name: 'dead-letters',
  doc: 'What could not be processed, with its error.',
  key: 'source coordinates',
  schema: 'DeadLetter',
  cleanup: 'delete',
  retentionDays: 30,
  owner: 'everyone',
  readers: ['publishing'],
});

export const erasures = topic({
  name: 'erasures',
  doc: 'Requests to forget a user or a product.',
  key: 'user:<id> or product:<id>',
  schema: 'Erasure',
  cleanup: 'compact',
  owner: 'serving',
  readers: ['publishing'],
  settings: INPUT_TABLE_SETTINGS,
});

export const skips = topic({
  name: 'skips',
  doc: 'Offsets that an operator has given up: no reader reads them any more.',
  key: '<topic>/<partition>/<from>-<to>',
  schema: 'Skip',
  partitions: 1,
  cleanup: 'compact',
  owner: 'serving',
  readers: ['everyone'],
  settings: INPUT_TABLE_SETTINGS,
});
