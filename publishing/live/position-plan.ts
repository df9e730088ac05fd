/** Where a sink goes on from what its store says: a pure decision. */
import type { PartitionOffsets } from '../../runtime/log/log.js';
import type { SinkPosition } from '../../runtime/stores/online-store.js';
import { DAY_MS } from '../../topics/topic.js';

/**
 * Deletions stay in a compacted topic for seven days. A store that has not had all of the log for longer may have missed
 * one, so it is rebuilt a day before.
 */
export const POSITION_AGE_MS_MAX = 6 * DAY_MS;

const REBUILDING = 'rebuilding:';

/** What batches of a rebuild carry as their incarnation, so that one left unfinished begins again. */
export function rebuildingOf(incarnation: string): string {
  return REBUILDING + incarnation;
}

/** Something was applied, and no rebuild is under way that would bring rows of before. */
export function isWhole(held: SinkPosition): boolean {
  return held.updatedAt > 0 && !held.incarnation.startsWith(REBUILDING);
}

type RebuildReason =
  | 'never_applied'
  | 'unfinished_rebuild'
  | 'other_incarnation'
  | 'too_old'
  | 'below_log_start'
  | 'above_log_end';

/**
 * Why everything must be read again; null where the store may simply go on at its next offset. An incarnation of null is
 * one that the log cannot tell: then the store's is as good as any.
 */
export function rebuildReason(
  held: SinkPosition,
  log: PartitionOffsets,
  incarnation: string | null,
  nowMs: number,
): RebuildReason | null {
  if (held.nextOffset === 0 || held.updatedAt === 0) return 'never_applied';
  if (held.incarnation.startsWith(REBUILDING)) return 'unfinished_rebuild';
  if (incarnation !== null && held.incarnation !== incarnation) return 'other_incarnation';
  if (isTooOld(held, nowMs)) return 'too_old';
  if (held.nextOffset < log.earliest) return 'below_log_start';
  if (held.nextOffset > log.highWatermark) return 'above_log_end';
  return null;
}

/** Whether deletions may have come and gone since the store had all of the log. */
export function isTooOld(held: SinkPosition, nowMs: number): boolean {
  return nowMs - held.updatedAt > POSITION_AGE_MS_MAX;
}
