/** The API of the package freshet-client: write events and read features, with nothing that runs Freshet itself. */

export { type ErrorCode, FreshetError } from '../runtime/process/errors.js';
export { createLogger, type Logger, silentLogger } from '../runtime/process/logger.js';
export type {
  Affinity,
  DeadLetter,
  Document,
  Event,
  EventType,
  Interactions,
  Popularity,
  Product,
  User,
} from '../schemas/records.js';
export { type AvroSchema, avroSchema } from '../schemas/value-codec.js';
export { partitionOf } from '../topics/partition.js';
export { deadLetterTopic, ownTopic, producerTopics, type TypedTopic, typedFeatureTopics } from '../topics/typed.js';
export type { ConnectionOptions } from './connection.js';
export type { Feature, FeatureRecords, FeatureTable } from './feature-table.js';
export { createProducer, type Producer, type ProducerRecords, type ProducerTopic } from './producer.js';
export {
  type AffinityNow,
  createReader,
  type FeatureChange,
  type FollowOptions,
  type PopularityNow,
  type PopularNow,
  type Reader,
  type ReaderOptions,
} from './reader.js';
export type { StartAt, TopicRecord } from './records.js';
