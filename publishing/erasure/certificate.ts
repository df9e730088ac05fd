/**
 * The state of an erasure, as the API and the command show it. Times are ISO 8601 UTC. Data reported as gone was
 * checked; data that only expires is listed with the rule that ends it, and with the time if the rule gives one.
 */
import type { LogAdmin } from '../../runtime/log/log.js';
import { CHECKPOINT_AGE_MS_MAX } from '../../runtime/tasks/restore.js';
import type { Place } from '../../runtime/tasks/scan.js';
import { deadLetters, erasures, events, lateEvents, users } from '../../topics/events.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { WINDOW_DAYS } from '../../topics/limits.js';
import type { SubjectKind } from '../../topics/subject.js';
import { DAY_MS, HOUR_MS } from '../../topics/time.js';

/** The place of a record, and its log time. */
interface Coordinates {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly at: string;
}

/** One item that was checked. */
export interface Verified {
  readonly what: string;
  readonly where: 'log' | 'task' | 'online store' | 'database';
  /** The topic partition whose records bring it there; everything below `offset` has been applied. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Something is left only if records followed the cut: those start counting again. */
  readonly left: 'nothing' | 'only what came after the cut';
}

/** Something that only time removes. */
interface Expiring {
  readonly what: string;
  readonly where: string;
  /** The latest moment by the rule; null if the rule gives none. */
  readonly until: string | null;
  readonly rule: string;
}

export interface Certificate {
  readonly verified_at: string;
  readonly gone: readonly Verified[];
  /** What could not be checked from here; empty in a process with access to both stores. */
  readonly not_checked: readonly string[];
  readonly expires: readonly Expiring[];
  /** What stays, and why. */
  readonly stays: readonly string[];
}

export interface ErasureStatus {
  /** `user:<id>` or `product:<id>`. */
  readonly subject: string;
  readonly state: 'waiting' | 'done';
  readonly requested_at: string;
  readonly reason: string | null;
  /** The record that is the cut: its offset, not its time. Null if the log no longer holds it, or does not yet. */
  readonly cut: Coordinates | null;
  /** In words; empty when done. */
  readonly waits_for: readonly string[];
  readonly certificate: Certificate | null;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function coordinates({ topic, partition, offset, timestamp }: Place): Coordinates {
  return { topic, partition, offset, at: iso(timestamp) };
}

/** What the expiry rules depend on. */
interface Expiry {
  readonly kind: SubjectKind;
  /** Time of the cut, ms. */
  readonly cutMs: number;
  readonly sets: readonly FeatureSet[];
  readonly duplicateHorizonMs: number;
  readonly changelogIntervalMs: number;
  /** The rows of the changelog are already deleted. */
  readonly changelogDeleted: boolean;
  /** Dead letters in Postgres that carry the user's key; null if they could not be checked. */
  readonly letters: number | null;
}

const SEGMENTS = 'the log deletes whole segments, so it may take up to segment.ms longer';

/** What expires when, by the current settings of the topics. */
export async function expiring(admin: LogAdmin, expiry: Expiry): Promise<Expiring[]> {
  return expiry.kind === 'user' ? ofUser(admin, expiry) : ofProduct(admin, expiry);
}

async function ofUser(admin: LogAdmin, expiry: Expiry): Promise<Expiring[]> {
  const { cutMs, sets, letters } = expiry;
  const kept = letters === null || letters === 0 ? '' : `; ${letters} rows of dead_letters stay until they are purged`;
  return [
    await byRetention(admin, 'raw events', events.name, cutMs),
    await byRetention(admin, 'late events', lateEvents.name, cutMs),
    await byRetention(admin, 'dead letters of unreadable events', deadLetters.name, cutMs, kept),
    ...(await Promise.all(sets.map(({ topics }) => ofChangelog(admin, topics.activityChangelog.name, expiry)))),
    ...(await Promise.all(
      sets.flatMap(({ topics }) =>
        [topics.affinity, topics.interactions].map(({ name }) => byCompaction(admin, 'previous values', name, cutMs)),
      ),
    )),
    await byCompaction(admin, 'previous values', users.name, cutMs),
    checkpoints(cutMs),
    {
      what: 'factors of the user in models built before',
      where: 'als_user_factors, keys als:v<n>:user:<id>, folders of those versions',
      until: null,
      rule: 'readers skip them; they are removed with their version, 24 hours after another has replaced it',
    },
    {
      what: 'the bare user_id in checkpoints of its task',
      where: 'data folders',
      until: null,
      rule: 'until that task is restored without a checkpoint: delete the file while the process is stopped',
    },
    {
      what: 'hashes of event ids',
      where: 'duplicate set of the task',
      until: iso(cutMs + expiry.duplicateHorizonMs),
      rule: 'an id is kept for the duplicate horizon, as a 128-bit hash',
    },
  ];
}

async function ofProduct(admin: LogAdmin, { cutMs, sets }: Expiry): Promise<Expiring[]> {
  return [
    await byRetention(admin, 'raw events', events.name, cutMs),
    ...(await Promise.all(
      sets.map(({ topics }) => byCompaction(admin, 'previous values', topics.popularity.name, cutMs)),
    )),
    {
      what: 'the product in interactions of its users',
      where: `${sets.map(({ topics }) => topics.interactions.name).join(', ')} and the online store`,
      until: iso(cutMs + WINDOW_DAYS * DAY_MS),
      rule: "left out at each user's next emission, at the latest when its last day leaves the window",
    },
    {
      what: 'sums per day',
      where: 'state of the tasks and their changelogs',
      until: iso(cutMs + 100 * DAY_MS),
      rule: 'they leave with the window and are not shown, unless the product is restored before then',
    },
    checkpoints(cutMs),
  ];
}

function checkpoints(cutMs: number): Expiring {
  return {
    what: 'local checkpoints of tasks',
    where: 'data folders',
    until: iso(cutMs + CHECKPOINT_AGE_MS_MAX),
    rule: 'each is replaced by the next, and discarded after six days',
  };
}

async function byRetention(admin: LogAdmin, what: string, topic: string, cutMs: number, more = ''): Promise<Expiring> {
  const retentionMs = (await admin.describeTopic(topic))?.retentionMs ?? -1;
  const where = `topic ${topic}`;
  if (retentionMs < 0) return { what, where, until: null, rule: `no retention is set, so it never expires${more}` };
  const days = Number((retentionMs / DAY_MS).toFixed(2));
  return { what, where, until: iso(cutMs + retentionMs), rule: `retention of ${days} days; ${SEGMENTS}${more}` };
}

async function byCompaction(admin: LogAdmin, what: string, topic: string, cutMs: number): Promise<Expiring> {
  const lagMs = Number((await admin.describeTopic(topic))?.settings['max.compaction.lag.ms'] ?? Number.NaN);
  const where = `topic ${topic}`;
  // Kafka's own default is the largest long: effectively no limit.
  if (!(lagMs < 10_000 * DAY_MS))
    return { what, where, until: null, rule: 'compaction keeps only the null value; no time is set for it' };
  const hours = Number((lagMs / HOUR_MS).toFixed(2));
  return {
    what,
    where,
    until: iso(cutMs + lagMs),
    rule: `compaction, due after ${hours} hours, keeps only the null value`,
  };
}

async function ofChangelog(admin: LogAdmin, topic: string, expiry: Expiry): Promise<Expiring> {
  const { until, where, rule } = await byRetention(admin, '', topic, expiry.cutMs);
  const flush = expiry.changelogDeleted
    ? 'null values are written; compaction removes the rows they delete'
    : `null values follow with the next flush, which begins every ${expiry.changelogIntervalMs / 1000} s`;
  return {
    what: 'rows per day of the user',
    where,
    until,
    rule: `${flush}; days that left the window earlier: ${rule}`,
  };
}

/** What an erasure does not remove. */
export function staying(kind: SubjectKind): string[] {
  const request = `topic ${erasures.name}: the request itself, with the id, so that it can be shown and applied again`;
  return kind === 'user'
    ? ["popularity: the user's past weight, as a sum in which nobody can be identified", request]
    : [
        "affinity: users' events with the product still count in their categories, as the event's own category or unknown",
        'online store: the id alone, among the deleted products that readers of models skip',
        request,
      ];
}
