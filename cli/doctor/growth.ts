/** What the embedded log will grow to at the rate at which it has been written so far. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { topicSizes } from '../../runtime/log/embedded/disk-usage.js';
import { allTopics } from '../../topics/all.js';
import { DAY_MS } from '../../topics/time.js';
import type { TopicDeclaration } from '../../topics/topic.js';
import { format } from '../progress.js';
import { type Check, ok, warn } from './check.js';

/** Compaction starts when half of a topic are values that have been replaced, and writes its result before it removes. */
const COMPACTED_FACTOR = 3;
/** A shorter history says nothing about a rate. */
const SPAN_MS_MIN = 60_000;

const megabytes = (bytes: number) => `${format(Math.ceil(bytes / 1e6))} MB`;

interface Growth {
  /** Bytes now. */
  readonly now: number;
  /** Bytes of topics that keep every record for a time, once that time has passed; null while there is no rate. */
  readonly kept: number | null;
  /** Most bytes of compacted topics with as many keys as now. */
  readonly compacted: number;
}

/** `sizes`: bytes by topic; `spanMs`: how long they have been written. */
export function growthOf(
  sizes: ReadonlyMap<string, number>,
  declarations: readonly Pick<TopicDeclaration, 'name' | 'cleanup' | 'retentionDays'>[],
  spanMs: number,
): Growth {
  let now = 0;
  let kept = 0;
  let compacted = 0;
  for (const { name, cleanup, retentionDays } of declarations) {
    const bytes = sizes.get(name) ?? 0;
    now += bytes;
    if (cleanup === 'compact') compacted += COMPACTED_FACTOR * bytes;
    else kept += Math.max(bytes, (bytes / spanMs) * retentionDays! * DAY_MS);
  }
  return { now, kept: spanMs < SPAN_MS_MIN ? null : kept, compacted };
}

/** `spanMs`: log time since the oldest event. */
export async function growthCheck(dataFolder: string, spanMs: number): Promise<Check> {
  const folder = join(dataFolder, 'log');
  const { now, kept, compacted } = growthOf(await topicSizes(folder), allTopics(), spanMs);
  const sentence = `The log has ${megabytes(now)}`;
  if (kept === null) return ok('log size', `${sentence}; what it will grow to shows after a minute of events.`);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const whole =
    `${sentence}. At the rate so far it grows to ${megabytes(kept + compacted)}: ${megabytes(kept)} in topics that keep records ` +
    `for a time, at most ${megabytes(compacted)} in compacted ones with as many keys as now. ${megabytes(free)} are free.`;
  return kept + compacted - now <= free ? ok('log size', whole) : warn('log size', `${whole} Give it a larger disk.`);
}
