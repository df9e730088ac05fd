/**
 * How much memory the processors need and how long a restart takes, from counts in the log. Upper bounds: offsets also
 * count duplicates, control records and, in changelogs, values that compaction will remove.
 *
 *   memory  = 160 MB + 100 B x events + 60 B x events of the duplicate horizon + 200 B x products
 *   restore = changelog records / 250,000 per s + events to fold again / 150,000 per s
 *
 * An event creates at most one entry of a (user, day) and one of a (product, day); 100 B holds both with their ids. The
 * events to fold again are those of two changelog intervals.
 */
import { DAY_MS } from '../../topics/time.js';

interface Counts {
  /** Offsets in `events`. */
  readonly events: number;
  /** Time they span, ms; 0 if there are none. */
  readonly eventsSpanMs: number;
  readonly products: number;
  /** Offsets in all changelogs. */
  readonly changelogs: number;
}

interface EstimateSettings {
  readonly duplicateHorizonMs: number;
  readonly changelogIntervalMs: number;
}

interface Estimate {
  readonly memoryMb: number;
  readonly restoreSeconds: number;
}

const BASE_MB = 160;
const EVENT_BYTES = 100;
const DUPLICATE_BYTES = 60;
const PRODUCT_BYTES = 200;
const CHANGELOG_PER_S = 250_000;
const REFOLD_PER_S = 150_000;
/** A burst of a few seconds says nothing about the rate. */
const SPAN_MS_MIN = DAY_MS / 24;

export function estimate(counts: Counts, settings: EstimateSettings): Estimate {
  const eventsPerMs = counts.events / Math.max(counts.eventsSpanMs, SPAN_MS_MIN);
  const within = (ms: number) => Math.min(counts.events, eventsPerMs * ms);
  const bytes =
    EVENT_BYTES * counts.events +
    DUPLICATE_BYTES * within(settings.duplicateHorizonMs) +
    PRODUCT_BYTES * counts.products;
  return {
    memoryMb: Math.ceil(BASE_MB + bytes / 1e6),
    restoreSeconds: counts.changelogs / CHANGELOG_PER_S + within(2 * settings.changelogIntervalMs) / REFOLD_PER_S,
  };
}
