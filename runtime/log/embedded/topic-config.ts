/** What the embedded log reads from a topic's settings, with Kafka's names and defaults, checked at creation. */
import { HOUR_MS } from '../../../topics/time.js';
import { FreshetError } from '../../process/errors.js';
import type { TopicConfig } from '../log.js';

/** The settings that affect the embedded log; others, which only brokers need, are stored and described unchanged. */
export interface TopicLimits {
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly retentionBytes: number;
  readonly compactionLagMsMax: number;
  readonly tombstonesMs: number;
  readonly dirtyRatioMin: number;
}

/** Kafka's defaults, except for the segment size: 64 MiB instead of 1 GiB, as a laptop's topics are smaller. */
const DEFAULTS = {
  'segment.bytes': 64 * 1024 * 1024,
  'segment.ms': 7 * 24 * HOUR_MS,
  'retention.bytes': -1,
  'max.compaction.lag.ms': Number.MAX_SAFE_INTEGER,
  'delete.retention.ms': 24 * HOUR_MS,
  'min.cleanable.dirty.ratio': 0.5,
} as const;

/** Limits of a topic: its own settings, then the log's defaults, then Kafka's. Throws FreshetError('settings'). */
export function topicLimits(config: TopicConfig, defaults: Readonly<Record<string, string>>): TopicLimits {
  const number = (name: keyof typeof DEFAULTS, least: number): number => {
    const text = config.settings[name] ?? defaults[name];
    const value = text === undefined ? DEFAULTS[name] : Number(text);
    if (!Number.isFinite(value) || value < least)
      throw new FreshetError('settings', `topic ${config.name}: ${name}=${text} must be a number ≥ ${least}`);
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  };
  return {
    segmentBytes: number('segment.bytes', 1),
    segmentMs: number('segment.ms', 1),
    retentionBytes: number('retention.bytes', -1),
    compactionLagMsMax: number('max.compaction.lag.ms', 1),
    tombstonesMs: number('delete.retention.ms', 0),
    dirtyRatioMin: number('min.cleanable.dirty.ratio', 0),
  };
}

const PARTITIONS_MAX = 10_000;

/** Throws FreshetError('settings') on a configuration no log would accept. Topic names follow Kafka's rules. */
export function checkTopicConfig(config: TopicConfig): void {
  const problem = (what: string) => new FreshetError('settings', `topic ${JSON.stringify(config.name)}: ${what}`);
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(config.name) || config.name === '.' || config.name === '..')
    throw problem('a name must have 1 to 249 letters, digits, dots, underscores or dashes');
  if (!Number.isInteger(config.partitions) || config.partitions < 1 || config.partitions > PARTITIONS_MAX)
    throw problem(`1 to ${PARTITIONS_MAX} partitions are allowed, not ${config.partitions}`);
  if (!['delete', 'compact', 'compact,delete'].includes(config.cleanup)) throw problem(`cleanup ${config.cleanup}`);
  if (!Number.isFinite(config.retentionMs) || config.retentionMs < -1)
    throw problem(`retention of ${config.retentionMs} ms`);
}

export const compacts = (config: TopicConfig): boolean => config.cleanup !== 'delete';
export const expires = (config: TopicConfig): boolean => config.cleanup !== 'compact';
