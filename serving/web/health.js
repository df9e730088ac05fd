/** The state of the system, in one word and one sentence. Pure. */
import { count, shortTime } from './format.js';

const BEHIND_MS = 5_000;
const BEHIND_RECORDS = 2_000;

/**
 * `overview` null: it could not be fetched. `readiness`: the answer of /health/ready, null if unknown. Returns { state:
 * 'live' | 'starting' | 'behind' | 'unreachable', text }.
 */
export function healthOf(overview, readiness) {
  if (overview === null) return { state: 'unreachable', text: 'Unreachable, retrying' };
  if (readiness !== null && readiness.status !== 'ready') {
    const [first] = readiness.waiting ?? [];
    return { state: 'starting', text: first ? `Starting: ${first}` : 'Starting' };
  }
  const waiting = overview.lag.activity + overview.lag.popularity;
  if (waiting > Math.max(BEHIND_RECORDS, 5 * overview.events.rate_per_second))
    return { state: 'behind', text: `Behind: ${count(waiting)} records waiting` };
  const slowest = Math.max(overview.freshness_ms?.redis ?? 0, overview.freshness_ms?.postgres ?? 0);
  if (slowest > BEHIND_MS) return { state: 'behind', text: `Behind by ${shortTime(slowest)}` };
  return { state: 'live', text: 'Live' };
}
