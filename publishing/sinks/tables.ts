/** Topics of producers, and the dead letters, as tables in Postgres for joins and for operators. */
import type { DeadLetter, Product, User } from '../../schemas/records.js';
import { deadLetters, products, users } from '../../topics/events.js';
import { MS_AS_TIME, type TableSink } from './declaration.js';
import { problemOf } from './keyed-topic.js';

export const catalogueRows: TableSink<Product> = {
  kind: 'table',
  topic: {
    name: products.name,
    schema: 'Product',
    idOf: (row) => row.product_id,
    problem: ({ title, description, category, updated_at }) =>
      problemOf({ texts: { title, description, category }, times: { updated_at } }),
    checksPartition: true,
  },
  table: 'catalogue',
  key: 'product_id',
  columns: [
    { name: 'title', type: 'text', value: (row) => row.title },
    { name: 'description', type: 'text', value: (row) => row.description },
    { name: 'category', type: 'text', value: (row) => row.category },
    { name: 'price', type: 'float8', value: (row) => row.price },
    { name: 'updated_at', type: 'float8', as: MS_AS_TIME, value: (row) => row.updated_at },
  ],
  forgetsUnseen: true,
};

export const userRows: TableSink<User> = {
  kind: 'table',
  topic: {
    name: users.name,
    schema: 'User',
    idOf: (row) => row.user_id,
    problem: ({ tenant_id, updated_at }) => problemOf({ texts: { tenant_id }, times: { updated_at } }),
    checksPartition: true,
  },
  table: 'users',
  key: 'user_id',
  columns: [
    { name: 'tenant_id', type: 'text', value: (row) => row.tenant_id },
    { name: 'active', type: 'bool', value: (row) => row.active },
    { name: 'updated_at', type: 'float8', as: MS_AS_TIME, value: (row) => row.updated_at },
  ],
  forgetsUnseen: true,
};

/** A letter is about an unreadable record: its texts are shown as far as Postgres can store them. */
const shown = (text: string | null) => (text === null ? null : text.replaceAll('\0', '\u{fffd}'));
const base64 = (bytes: Buffer | null) => (bytes === null ? null : bytes.toString('base64'));
const BASE64_AS_BYTES = "decode($, 'base64')";

/**
 * The topic keeps a letter for 30 days and then drops it without a tombstone, so a rebuild cannot distinguish a row
 * that was purged from one that expired: it leaves both.
 */
export const deadLetterRows: TableSink<DeadLetter> = {
  kind: 'table',
  topic: {
    name: deadLetters.name,
    schema: 'DeadLetter',
    idOf: (row) => row.id,
    problem: ({ created_at }) => problemOf({ times: { created_at } }),
    checksPartition: false,
  },
  table: 'dead_letters',
  key: 'id',
  columns: [
    { name: 'kind', type: 'text', value: (row) => shown(row.kind) },
    { name: 'job_id', type: 'text', value: (row) => shown(row.job_id) },
    { name: 'job_name', type: 'text', value: (row) => shown(row.job_name) },
    {
      name: 'source',
      type: 'text',
      as: '$::jsonb',
      value: ({ source }) => source && JSON.stringify({ ...source, topic: shown(source.topic) }),
    },
    { name: 'record_key', type: 'text', as: BASE64_AS_BYTES, value: (row) => base64(row.record_key) },
    { name: 'size', type: 'int8', value: (row) => row.size },
    { name: 'sha256', type: 'text', value: (row) => shown(row.sha256) },
    { name: 'input', type: 'text', as: BASE64_AS_BYTES, value: (row) => base64(row.input) },
    { name: 'input_json', type: 'text', value: (row) => shown(row.input_json) },
    { name: 'reason_code', type: 'text', value: (row) => shown(row.reason_code) },
    { name: 'error', type: 'text', value: (row) => shown(row.error) },
    { name: 'stack', type: 'text', value: (row) => shown(row.stack) },
    { name: 'attempts', type: 'int4', value: (row) => row.attempts },
    { name: 'created_at', type: 'float8', as: MS_AS_TIME, value: (row) => row.created_at },
    { name: 'state', type: 'text', value: (row) => shown(row.state) },
    { name: 'redrive_run_id', type: 'text', value: (row) => shown(row.redrive_run_id) },
  ],
  forgetsUnseen: false,
};
