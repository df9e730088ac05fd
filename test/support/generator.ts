/**
 * Random streams of events that sit on every edge of the formulas: both ends of the window, midnight, the leap day,
 * the duplicate horizon, the five minutes ahead. Built as a fast-check arbitrary, so that a failing stream shrinks to
 * the few records that matter.
 */
import fc from 'fast-check';
import type { RawRecord } from '../../publishing/audit/reference.js';
import type { Event } from '../../schemas/records.js';
import { partitionOf } from '../../topics/partition.js';
import type { Catalogue } from './reference.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Where streams begin: an ordinary noon, just before and on a leap day, 89 and 90 days behind it, new year's eve. */
export const STARTS: readonly number[] = [
  Date.UTC(2026, 10, 3, 12),
  Date.UTC(2028, 1, 28, 23, 59, 58),
  Date.UTC(2028, 1, 29),
  Date.UTC(2028, 4, 28, 23, 59, 59, 999),
  Date.UTC(2028, 4, 29, 11, 11, 11),
  Date.UTC(2027, 11, 31, 23, 58),
];

const USERS = ['u1', 'u2', 'u3', 'jürgen', '用户', '👩‍🚀', 'a:b', 'a%3Ab', '../x y', 'long-'.repeat(51)];
const PRODUCTS = ['p1', 'p2', 'p3', 'p4', 'naïve', '商品', 'p:1', '🥾', 'gone', 'P1'];
const CATEGORIES = [null, null, 'shoes', 'hats', 'bücher', 'other', 'unknown', 'a:b'];
const EVENT_IDS = ['e1', 'e2', 'e3', 'e4', 'é', 'e:1'];
const TYPES = ['view', 'add_to_cart', 'purchase'] as const;

/** The catalogue that goes with the streams: some products known, one deleted, others never heard of. */
export const STREAM_CATALOGUE: Catalogue = {
  categories: new Map([
    ['p1', 'shoes'],
    ['p2', 'hats'],
    ['naïve', 'bücher'],
    ['商品', 'other'],
    ['p:1', 'a:b'],
  ]),
  deleted: new Set(['gone']),
};

/** How far the log's clock moves before a record. */
type Gap =
  | { readonly kind: 'ms'; readonly ms: number }
  /** To the next UTC midnight plus `ms`. */
  | { readonly kind: 'midnight'; readonly ms: number }
  /** By the duplicate horizon plus `ms`. */
  | { readonly kind: 'horizon'; readonly ms: number };

/** When an event happened, seen from its log time. */
type When =
  | { readonly kind: 'offset'; readonly ms: number }
  /** `ms` from the start of the UTC day `daysBack` days before the log time's. */
  | { readonly kind: 'day'; readonly daysBack: number; readonly ms: number }
  | { readonly kind: 'absolute'; readonly ms: number };

interface Step {
  readonly gap: Gap;
  /** Sends the newest event again, as a producer that got no answer does. */
  readonly again: boolean;
  readonly user: string;
  /** Null: an erasure. */
  readonly event: {
    /** Null: an id of its own. */
    readonly id: string | null;
    readonly product: string;
    readonly category: string | null;
    readonly type: string;
    readonly when: When;
  } | null;
}

const gap: fc.Arbitrary<Gap> = fc.oneof(
  { weight: 12, arbitrary: ms('ms', 0, 0, 1, 20, SECOND_MS, 30 * SECOND_MS, 5 * MINUTE_MS) },
  { weight: 4, arbitrary: ms('ms', HOUR_MS, 3 * HOUR_MS, DAY_MS) },
  { weight: 3, arbitrary: ms('midnight', -1, 0, 1, 6 * MINUTE_MS) },
  { weight: 3, arbitrary: ms('horizon', -1, 0, 1, -HOUR_MS) },
  { weight: 1, arbitrary: ms('ms', 10 * DAY_MS, 40 * DAY_MS, 89 * DAY_MS, 90 * DAY_MS, 91 * DAY_MS) },
);

const when: fc.Arbitrary<When> = fc.oneof(
  { weight: 6, arbitrary: ms('offset', 0, -1, -SECOND_MS, -HOUR_MS) },
  { weight: 4, arbitrary: fc.integer({ min: -95 * DAY_MS, max: 0 }).map((ms) => ({ kind: 'offset', ms }) as const) },
  { weight: 3, arbitrary: ms('offset', 1, 4 * MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS + 1, DAY_MS) },
  {
    weight: 5,
    arbitrary: fc
      .record({ daysBack: fc.constantFrom(0, 1, 88, 89, 89, 90), ms: fc.constantFrom(-1, 0, 1, 12 * HOUR_MS) })
      .map(({ daysBack, ms }) => ({ kind: 'day', daysBack, ms }) as const),
  },
  {
    weight: 1,
    arbitrary: ms('absolute', 0, -1, Date.UTC(1970, 0, 2), Date.UTC(2028, 1, 29, 12), Date.UTC(2028, 2, 1)),
  },
);

function ms<K extends string>(kind: K, ...choices: number[]): fc.Arbitrary<{ kind: K; ms: number }> {
  return fc.constantFrom(...choices).map((ms) => ({ kind, ms }));
}

const step: fc.Arbitrary<Step> = fc.record({
  gap,
  again: fc.integer({ min: 0, max: 5 }).map((i) => i === 5),
  user: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...USERS.slice(0, 3)) },
    { weight: 1, arbitrary: fc.constantFrom(...USERS) },
  ),
  event: fc.option(
    fc.record({
      id: fc.option(fc.constantFrom(...EVENT_IDS), { freq: 2 }),
      product: fc.constantFrom(...PRODUCTS),
      category: fc.constantFrom(...CATEGORIES),
      type: fc.oneof(
        { weight: 30, arbitrary: fc.constantFrom(...TYPES) },
        { weight: 1, arbitrary: fc.constant('like') },
      ),
      when,
    }),
    { freq: 20 },
  ),
});

export interface StreamOptions {
  readonly partitions: number;
  readonly duplicateHorizonMs: number;
  readonly stepsMax: number;
}

export const STREAM_DEFAULTS: StreamOptions = { partitions: 2, duplicateHorizonMs: 6 * HOUR_MS, stepsMax: 60 };

/** Streams in log order across partitions; the log time never falls. */
export function streamArbitrary(options: Partial<StreamOptions> = {}): fc.Arbitrary<RawRecord[]> {
  const full = { ...STREAM_DEFAULTS, ...options };
  return fc
    .record({
      start: fc.constantFrom(...STARTS),
      steps: fc.array(step, { minLength: 1, maxLength: full.stepsMax, size: 'max' }),
    })
    .map(({ start, steps }) => recordsOf(start, steps, full));
}

/** One stream, the same for the same seed. */
export function stream(seed: number, options: Partial<StreamOptions> = {}): RawRecord[] {
  return fc.sample(streamArbitrary(options), { seed, numRuns: 1 })[0]!;
}

function recordsOf(start: number, steps: readonly Step[], options: StreamOptions): RawRecord[] {
  const ends = new Array<number>(options.partitions).fill(0);
  let now = start;
  let newest: Event | null = null;
  return steps.map((step, index) => {
    now = Math.max(now, afterGap(now, step.gap, options));
    const value: Event | null = step.again && newest !== null ? newest : eventOf(step, now, index);
    newest = value ?? newest;
    const key = value?.user_id ?? step.user;
    const partition = partitionOf(options.partitions, Buffer.from(key));
    return { partition, offset: ends[partition]!++, logTime: now, key, value };
  });
}

function eventOf({ user, event }: Step, logTime: number, index: number): Event | null {
  return (
    event && {
      event_id: event.id ?? `own-${index}`,
      user_id: user,
      product_id: event.product,
      category: event.category,
      event_type: event.type as Event['event_type'],
      ts: happened(logTime, event.when),
    }
  );
}

function afterGap(now: number, gap: Gap, options: StreamOptions): number {
  switch (gap.kind) {
    case 'ms':
      return now + gap.ms;
    case 'midnight':
      return (Math.floor(now / DAY_MS) + 1) * DAY_MS + gap.ms;
    case 'horizon':
      return now + options.duplicateHorizonMs + gap.ms;
  }
}

function happened(logTime: number, when: When): number {
  switch (when.kind) {
    case 'offset':
      return logTime + when.ms;
    case 'day':
      return (Math.floor(logTime / DAY_MS) - when.daysBack) * DAY_MS + when.ms;
    case 'absolute':
      return when.ms;
  }
}
