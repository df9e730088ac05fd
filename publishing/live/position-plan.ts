/** Where a sink continues, given its position in the store: a pure decision. */
import type { PartitionOffsets } from '../../runtime/log/log.js';
import type { SinkPosition } from '../../runtime/stores/online-store.js';
import { DAY_MS } from '../../topics/time.js';

/**
 * Deletions stay in a compacted topic for seven days. A store that has not had all of the log for longer may have
 * missed one, so it is rebuilt one day before.
 */
export const POSITION_AGE_MS_MAX = 6 * DAY_MS;

const REBUILDING = 'rebuilding:';

/** The incarnation in batches of a rebuild, so that an unfinished one starts over. */
export function rebuildingOf(incarnation: string): string {
  return REBUILDING + incarnation;
}

/** Something was applied, and no rebuild is under way that would rewrite earlier rows. */
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
 * Why everything must be read again; null if the store may simply continue at its next offset. A null incarnation is
 * unknown to the log: the store's own is then accepted.
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

/** Whether deletions may have expired since the store had all of the log. */
export function isTooOld(held: SinkPosition, nowMs: number): boolean {
  return nowMs - held.updatedAt > POSITION_AGE_MS_MAX;
}
