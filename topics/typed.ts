/** Topics with the TypeScript types of their values: the public ones, and those that users declare themselves. */
import { type SchemaName, schemaJson } from '../schemas/codec.js';
import type {
  Affinity,
  DeadLetter,
  Document,
  Event,
  Interactions,
  Popularity,
  Product,
  User,
} from '../schemas/records.js';
import { AvroSchema } from '../schemas/value-codec.js';
import { deadLetters, documents, events, products, users } from './events.js';
import { featureSet } from './feature-set.js';
import { type TopicDeclaration, type TopicDraft, topic } from './topic.js';

/** A topic whose values are `T`. */
export type TypedTopic<T> = TopicDeclaration<AvroSchema<T>>;

/** Declares a custom topic. Throws with a sentence when the declaration contradicts itself. */
export function ownTopic<T>(declaration: TopicDraft<AvroSchema<T>>): TypedTopic<T> {
  return topic(declaration);
}

const known = new Map<SchemaName, AvroSchema<unknown>>();

/** A topic of schemas/. The caller names the type, which must be the one in schemas/records.ts. */
function typed<T>(declaration: TopicDeclaration): TypedTopic<T> {
  let schema = known.get(declaration.schema);
  if (schema === undefined) {
    schema = new AvroSchema(JSON.parse(schemaJson(declaration.schema)) as object);
    known.set(declaration.schema, schema);
  }
  return { ...declaration, schema: schema as AvroSchema<T> };
}

/** What producers write. */
export const producerTopics = {
  events: typed<Event>(events),
  products: typed<Product>(products),
  documents: typed<Document>(documents),
  users: typed<User>(users),
} as const;

export const deadLetterTopic = typed<DeadLetter>(deadLetters);

/** The topics that the features application at `version` writes for everyone to read. */
export function typedFeatureTopics(version: number) {
  const { popularity, affinity, interactions } = featureSet(version).topics;
  return {
    popularity: typed<Popularity>(popularity),
    affinity: typed<Affinity>(affinity),
    interactions: typed<Interactions>(interactions),
  };
}
