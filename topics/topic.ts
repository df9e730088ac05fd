/** The declaration of a topic: everything is declared once and checked when the module loads. */
import type { SchemaName } from '../schemas/codec.js';
import { DAY_MS, HOUR_MS } from './time.js';

export type TopicCleanup = 'delete' | 'compact' | 'compact,delete';

/** `Schema`: how values are encoded; a topic of this code base names a schema of schemas/. */
export interface TopicDeclaration<Schema = SchemaName> {
  /** `<name>`, or `<name>.v<n>` for internal topics of an application. */
  readonly name: string;
  readonly doc: string;
  /** A description of the key. */
  readonly key: string;
  readonly schema: Schema;
  /** `default`: 12 on Kafka, 4 embedded; a number is fixed. */
  readonly partitions: 'default' | number;
  readonly cleanup: TopicCleanup;
  /** Days a record is kept; null for ever (compacted topics keep the latest value). */
  readonly retentionDays: number | null;
  readonly logAppendTime: boolean;
  readonly owner: string;
  readonly readers: readonly string[];
  /** Keyed state depends on the partition count: never change it. */
  readonly feedsKeyedState: boolean;
  readonly settings: Readonly<Record<string, string>>;
}

/** Settings of feature topics: no capture may miss a value, and deletions stay readable for a week. */
export const FEATURE_SETTINGS = {
  'min.compaction.lag.ms': String(6 * HOUR_MS),
  'delete.retention.ms': String(7 * DAY_MS),
  'max.compaction.lag.ms': String(DAY_MS),
  'segment.ms': String(10 * 60_000),
} as const;

/** Compacted inputs of folds: a reader that was down for some days must still find the deletions. */
export const INPUT_TABLE_SETTINGS = {
  'min.compaction.lag.ms': String(DAY_MS),
  'delete.retention.ms': String(7 * DAY_MS),
  'segment.ms': String(10 * 60_000),
} as const;

/** Changelogs: only the newest value is needed, as soon as possible. */
export const CHANGELOG_SETTINGS = { 'segment.ms': String(10 * 60_000) } as const;

type Said = 'name' | 'doc' | 'key' | 'schema' | 'cleanup' | 'owner';

/** What a topic must declare; everything else has a default. */
export type TopicDraft<Schema = SchemaName> = Pick<TopicDeclaration<Schema>, Said> &
  Partial<Omit<TopicDeclaration<Schema>, Said>>;

/** Fills in the defaults and refuses declarations that cannot be right. */
export function topic<Schema extends SchemaName | object = SchemaName>(
  declaration: TopicDraft<Schema>,
): TopicDeclaration<Schema> {
  const full: TopicDeclaration<Schema> = {
    partitions: 'default',
    retentionDays: null,
    logAppendTime: false,
    readers: [],
    feedsKeyedState: false,
    settings: {},
    ...declaration,
  };
  if (!/^[a-z][a-z0-9.-]*$/.test(full.name))
    throw new Error(`topic name "${full.name}" may have only lower case letters, digits, dots and dashes`);
  if (full.cleanup !== 'compact' && full.retentionDays === null)
    throw new Error(`topic "${full.name}" deletes records but does not say when: set retentionDays`);
  if (full.cleanup === 'compact' && full.retentionDays !== null)
    throw new Error(`topic "${full.name}" is only compacted: retentionDays has no effect`);
  return full;
}

/** Whether a topic holds the state of tasks: rows, and markers under a key of their own. */
export function isChangelog({ name }: Pick<TopicDeclaration, 'name'>): boolean {
  return name.endsWith('-changelog');
}
