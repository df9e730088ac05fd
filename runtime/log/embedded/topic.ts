/** One topic: its configuration, the folder it lives in and its partitions. */
import type { TopicConfig } from '../log.js';
import type { Partition } from './partition.js';
import { type TopicLimits, topicLimits } from './topic-config.js';

export const TOPIC_FILE = 'topic.json';

export class Topic {
  /** A random number that no other topic of this log has or had: a topic made anew is another topic. */
  readonly id: number;
  readonly config: TopicConfig;
  readonly limits: TopicLimits;
  readonly folder: string;
  partitions: readonly Partition[] = [];
  deleted = false;

  constructor(id: number, config: TopicConfig, folder: string, defaults: Readonly<Record<string, string>>) {
    this.id = id;
    this.config = config;
    this.folder = folder;
    this.limits = topicLimits(config, defaults);
  }

  get name(): string {
    return this.config.name;
  }

  partitionFolder(partition: number): string {
    return `${this.folder}/${partition}`;
  }

  encode(): Buffer {
    return Buffer.from(`${JSON.stringify({ id: this.id, config: this.config }, null, 2)}\n`);
  }
}
