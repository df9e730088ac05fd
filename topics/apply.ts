/**
 * Compares the declared topics with those of a log and creates the missing ones. Nothing is altered or deleted: each
 * difference is reported in a sentence, and a difference that would break keyed state or the meaning of log time is
 * refused before anything is created.
 */
import { DAY_MS } from './time.js';
import type { TopicDeclaration as Declared, TopicCleanup } from './topic.js';

/** The encoding of values is irrelevant here. */
type TopicDeclaration = Declared<unknown>;

/** A topic as a log has it. Repeats the shape of the log port's TopicConfig, because topics/ imports no engine. */
export interface TopicState {
  readonly name: string;
  readonly partitions: number;
  readonly cleanup: TopicCleanup;
  /** ms; -1 for ever. */
  readonly retentionMs: number;
  readonly logAppendTime: boolean;
  readonly settings: Readonly<Record<string, string>>;
}

/** The part of the log port's admin that is needed here. */
export interface TopicAdmin {
  describeTopic(name: string): Promise<TopicState | null>;
  createTopic(state: TopicState): Promise<void>;
}

export interface ApplyOptions {
  readonly kind: 'kafka' | 'embedded';
  /** The setting PARTITIONS: the partition count of topics that declare `default`. */
  readonly partitions?: number | undefined;
  /** The setting ALLOW_CREATE_TIME: accept a topic without LogAppendTime where LogAppendTime is declared. */
  readonly allowCreateTime?: boolean;
  /** Only compare. */
  readonly dryRun?: boolean;
}

export interface TopicReport {
  readonly name: string;
  /** `missing` only in a dry run. */
  readonly action: 'created' | 'missing' | 'same' | 'differs';
  readonly partitions: number;
  /** One sentence per difference. */
  readonly differences: readonly string[];
}

/** A problem that a person must fix before the topics can be used; the message has one line per topic. */
export class TopicsRefusedError extends Error {
  readonly refusals: readonly string[];
  constructor(refusals: readonly string[]) {
    super(refusals.join('\n'));
    this.name = 'TopicsRefusedError';
    this.refusals = refusals;
  }
}

const DEFAULT_PARTITIONS = { kafka: 12, embedded: 4 } as const;

/** Partition count of a declaration in a deployment. */
export function partitionsOf(
  declaration: TopicDeclaration,
  options: Pick<ApplyOptions, 'kind' | 'partitions'>,
): number {
  if (declaration.partitions !== 'default') return declaration.partitions;
  return options.partitions ?? DEFAULT_PARTITIONS[options.kind];
}

/** The declaration as it should be in the log. */
export function declaredState(declaration: TopicDeclaration, partitions: number): TopicState {
  return {
    name: declaration.name,
    partitions,
    cleanup: declaration.cleanup,
    retentionMs: declaration.retentionDays === null ? -1 : declaration.retentionDays * DAY_MS,
    logAppendTime: declaration.logAppendTime,
    settings: declaration.settings,
  };
}

/**
 * Creates the missing topics and reports on all, in the order of the declarations. Throws TopicsRefusedError, with
 * nothing created, when a topic that feeds keyed state has another partition count, a topic that needs LogAppendTime
 * lacks it, or a topic has another cleanup policy than declared.
 */
export async function applyTopics(
  admin: TopicAdmin,
  declarations: readonly TopicDeclaration[],
  options: ApplyOptions,
): Promise<TopicReport[]> {
  const pairs: { declaration: TopicDeclaration; wanted: TopicState; found: TopicState | null }[] = [];
  for (const declaration of declarations) {
    const wanted = declaredState(declaration, partitionsOf(declaration, options));
    pairs.push({ declaration, wanted, found: await admin.describeTopic(declaration.name) });
  }
  const refusals = pairs.flatMap(({ declaration, wanted, found }) =>
    found === null ? [] : refuse(declaration, wanted, found, options),
  );
  if (refusals.length > 0) throw new TopicsRefusedError(refusals);
  const reports: TopicReport[] = [];
  for (const { declaration, wanted, found: before } of pairs) {
    const { name, partitions } = wanted;
    const found = before ?? (options.dryRun ? null : await create(admin, wanted));
    if (found === null) {
      reports.push({ name, action: options.dryRun ? 'missing' : 'created', partitions, differences: [] });
      continue;
    }
    const late = before === null ? refuse(declaration, wanted, found, options) : [];
    if (late.length > 0) throw new TopicsRefusedError(late);
    const differences = compareTopic(wanted, found);
    const action = differences.length === 0 ? 'same' : 'differs';
    reports.push({ name, action, partitions: found.partitions, differences });
  }
  return reports;
}

/** Null if we created it, otherwise the topic as another process created it at the same moment. */
async function create(admin: TopicAdmin, wanted: TopicState): Promise<TopicState | null> {
  try {
    await admin.createTopic(wanted);
    return null;
  } catch (error) {
    const found = await admin.describeTopic(wanted.name);
    if (found === null) throw error;
    return found;
  }
}

function refuse(declaration: TopicDeclaration, wanted: TopicState, found: TopicState, options: ApplyOptions): string[] {
  const refusals: string[] = [];
  if (declaration.feedsKeyedState && found.partitions !== wanted.partitions) {
    const cure =
      declaration.partitions === 'default'
        ? `set PARTITIONS=${found.partitions} to keep the topic as it is`
        : 'delete the topic if nothing has been built from it yet';
    refusals.push(
      `Topic "${wanted.name}" has ${found.partitions} partitions where ${wanted.partitions} are declared. State is ` +
        `kept by key and partition, so the count must not change: ${cure}, or start the next version by replay.`,
    );
  }
  if (wanted.logAppendTime && !found.logAppendTime && !options.allowCreateTime) {
    refusals.push(
      `Topic "${wanted.name}" stores the producers' timestamps. Windows and duplicates are judged by log time: set its ` +
        'message.timestamp.type to LogAppendTime, or set ALLOW_CREATE_TIME=true to trust the clocks of all producers.',
    );
  }
  if (cleanupWords(found.cleanup) !== cleanupWords(wanted.cleanup)) {
    refusals.push(
      `Topic "${wanted.name}" has cleanup.policy ${found.cleanup} where ${wanted.cleanup} is declared: records would be ` +
        'lost, or kept for ever. Set it back with the tools of the log and keep all other overrides of the topic.',
    );
  }
  return refusals;
}

/** The differences between a declared topic and the one found, one sentence each. */
export function compareTopic(wanted: TopicState, found: TopicState): string[] {
  const differences: string[] = [];
  const differs = (what: string, is: string, declared: string) =>
    differences.push(`${wanted.name}: ${what} is ${is}, but ${declared} is declared.`);
  if (found.partitions !== wanted.partitions)
    differs('the partition count', `${found.partitions}`, `${wanted.partitions}`);
  if (cleanupWords(found.cleanup) !== cleanupWords(wanted.cleanup))
    differs('cleanup.policy', found.cleanup, wanted.cleanup);
  // A topic that is only compacted ignores its retention.
  if (wanted.cleanup !== 'compact' && found.retentionMs !== wanted.retentionMs)
    differs('retention.ms', `${found.retentionMs}`, `${wanted.retentionMs}`);
  if (found.logAppendTime !== wanted.logAppendTime)
    differs('message.timestamp.type', timeType(found.logAppendTime), timeType(wanted.logAppendTime));
  for (const [name, value] of Object.entries(wanted.settings)) {
    const is = found.settings[name];
    if (is === undefined) differs(name, "not set (the broker's default applies)", value);
    else if (is !== value) differs(name, is, value);
  }
  return differences;
}

function timeType(logAppendTime: boolean): string {
  return logAppendTime ? 'LogAppendTime' : 'CreateTime';
}

/** Brokers may report `delete,compact` for `compact,delete`. */
function cleanupWords(cleanup: string): string {
  return cleanup.split(',').sort().join(',');
}
