/** Records that producers may write, from their JSON: validated, defaults filled in, ready to be encoded. */
import type { SchemaName } from '../schemas/codec.js';
import type { Document, Event, EventType, Product, User } from '../schemas/records.js';
import { Fields } from './fields.js';
import { InputError, shown } from './input-error.js';

/** A record on its way to the log; a null value deletes. */
export interface Input<T = unknown> {
  readonly key: string;
  readonly value: T | null;
}

/** Input that HTTP accepts: the topic, its schema, and how JSON becomes its value. */
export interface InputKind<T = unknown> {
  readonly topic: string;
  readonly schema: SchemaName;
  /** The name of the field that is the record's key. */
  readonly keyField: string;
  /** `nowMs` is used for a missing updated_at. Throws InputError. */
  read(json: unknown, nowMs: number): T;
}

const EVENT_TYPES: readonly EventType[] = ['view', 'add_to_cart', 'purchase'];
const LANGUAGE = /^[a-z]{2,3}$/;

export const eventInput: InputKind<Event> = {
  topic: 'events',
  schema: 'Event',
  keyField: 'user_id',
  read(json) {
    const fields = new Fields(json, 'an event');
    const event: Event = {
      event_id: fields.id('event_id'),
      user_id: fields.id('user_id'),
      product_id: fields.id('product_id'),
      category: fields.idOrNull('category'),
      event_type: fields.oneOf('event_type', EVENT_TYPES),
      ts: fields.time('ts'),
    };
    fields.end();
    return event;
  },
};

export const productInput: InputKind<Product> = {
  topic: 'products',
  schema: 'Product',
  keyField: 'product_id',
  read(json, nowMs) {
    const fields = new Fields(json, 'a product');
    const product: Product = {
      product_id: fields.id('product_id'),
      title: fields.text('title'),
      description: fields.text('description'),
      category: fields.id('category'),
      price: fields.amountOrNull('price'),
      updated_at: fields.timeOr('updated_at', nowMs),
    };
    fields.end();
    return product;
  },
};

export const documentInput: InputKind<Document> = {
  topic: 'documents',
  schema: 'Document',
  keyField: 'doc_id',
  read(json, nowMs) {
    const fields = new Fields(json, 'a document');
    const language = fields.idOrNull('language');
    if (language !== null && !LANGUAGE.test(language))
      throw new InputError(`"language" must be an ISO 639 code such as en, or null (${shown(language)}).`);
    const document: Document = {
      doc_id: fields.id('doc_id'),
      language,
      source: fields.idOrNull('source'),
      text: fields.text('text'),
      updated_at: fields.timeOr('updated_at', nowMs),
    };
    fields.end();
    return document;
  },
};

export const userInput: InputKind<User> = {
  topic: 'users',
  schema: 'User',
  keyField: 'user_id',
  read(json, nowMs) {
    const fields = new Fields(json, 'a user');
    const user: User = {
      user_id: fields.id('user_id'),
      tenant_id: fields.id('tenant_id'),
      active: fields.booleanOr('active', true),
      updated_at: fields.timeOr('updated_at', nowMs),
    };
    fields.end();
    return user;
  },
};

/** By topic name. */
export const inputKinds: ReadonlyMap<string, InputKind> = new Map(
  [eventInput, productInput, documentInput, userInput].map((kind): [string, InputKind] => [kind.topic, kind]),
);

/** A record whose id is in the path: the body may repeat the id, but not contradict it. Throws InputError. */
export function readWithId<T>(kind: InputKind<T>, id: string, json: unknown, nowMs: number): T {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return kind.read(json, nowMs);
  const given = (json as Record<string, unknown>)[kind.keyField];
  if (given !== undefined && given !== id)
    throw new InputError(`"${kind.keyField}" must be the id in the path, ${JSON.stringify(id)} (${shown(given)}).`);
  return kind.read({ ...json, [kind.keyField]: id }, nowMs);
}

/** `{"key"?, "value"}` as sent by `freshet produce`. Throws InputError. */
export function readKeyed(kind: InputKind, json: unknown, nowMs: number): Input {
  const fields = new Fields(json, 'a record');
  const keyGiven = fields.idOrNull('key');
  const value = fields.any('value');
  fields.end();
  if (value === undefined) throw new InputError('"value" is missing: give the record, or null to delete the key.');
  if (value === null) {
    if (keyGiven === null) throw new InputError('"key" is missing: a null value needs the key that it deletes.');
    if (kind === eventInput)
      throw new InputError('A null value in events forgets a user: use POST /v1/erasures, which also records why.');
    return { key: keyGiven, value: null };
  }
  const read = kind.read(value, nowMs) as Record<string, unknown>;
  const key = read[kind.keyField] as string;
  if (keyGiven !== null && keyGiven !== key)
    throw new InputError(`"key" must be the value's ${kind.keyField}, ${JSON.stringify(key)} (${shown(keyGiven)}).`);
  return { key, value: read };
}
