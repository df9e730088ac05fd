/** The public API of this package: write events, read features, and run your own features (docs/USING.md). */

export type { RecordColumns, TopicPartition } from '../runtime/log/log.js';
export { type ErrorCode, FreshetError } from '../runtime/process/errors.js';
export { createLogger, type Logger, silentLogger } from '../runtime/process/logger.js';
export type { FeatureContext, FeatureDefinition, ValueCodecs } from '../runtime/tasks/feature.js';
export { defineKeyedFold, type KeyedFold } from '../runtime/tasks/keyed-fold.js';
export type { KeyedFoldOptions, KeyedRecord } from '../runtime/tasks/keyed-fold-options.js';
export type {
  FoldMode,
  Output,
  Part,
  PartOptions,
  ProcessorDeclaration,
  TaskTable,
} from '../runtime/tasks/processor.js';
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
export { type AvroSchema, avroSchema, ValueCodec } from '../schemas/value-codec.js';
export { partitionOf } from '../topics/partition.js';
export { deadLetterTopic, ownTopic, producerTopics, type TypedTopic, typedFeatureTopics } from '../topics/typed.js';
export { createApplication, type OwnApplication, type OwnApplicationOptions } from './application.js';
export type { ConnectionOptions } from './connection.js';
export type { Feature, FeatureRecords, FeatureTable } from './feature-table.js';
export type { ModelItems, ServingAddress } from './model-client.js';
export { createProducer, type Producer, type ProducerRecords, type ProducerTopic } from './producer.js';
export {
  type AffinityNow,
  createReader,
  type FeatureChange,
  type FollowOptions,
  type InteractionsNow,
  type PopularityNow,
  type PopularNow,
  type Reader,
  type ReaderOptions,
} from './reader.js';
export type { StartAt, TopicRecord } from './records.js';
