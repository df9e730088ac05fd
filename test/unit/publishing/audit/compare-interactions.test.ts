/** I19: one user's interactions compared with the reference: any possible cut is right, and nothing else is. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Known, Outcome } from '../../../../publishing/audit/compare.js';
import { compareInteractions } from '../../../../publishing/audit/compare-interactions.js';
import { type CountedEvent, utcDay } from '../../../../publishing/audit/reference.js';
import type { StoredInteraction, StoredInteractions } from '../../../../publishing/sinks/interactions-row.js';
import { interactionsOf } from '../../../support/reference.js';

const NOON = Date.UTC(2026, 10, 3, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const HALF_LIFE_MS = 30 * DAY_MS;
const TYPES = ['view', 'add_to_cart', 'purchase'] as const;

function event(offset: number, over: Partial<CountedEvent> = {}): CountedEvent {
  const rest = { partition: 0, user: 'u', category: null, type: 'view', forgotten: false } as const;
  return { ...rest, offset, product: 'p', ts: NOON, ...over };
}

interface Moment {
  /** Offset up to which everything is written; default: all. */
  readonly writtenTo?: number;
  readonly erasedAt?: number;
  readonly sweptDay?: number;
  readonly firstDay?: number;
  readonly now?: number;
  /** Product → when it was put or (`deleted`) deleted. */
  readonly catalogue?: Readonly<Record<string, { readonly at: number; readonly deleted: boolean }>>;
  readonly isWhole?: boolean;
}

function known(events: readonly CountedEvent[], moment: Moment = {}): Known {
  const { writtenTo = events.length, erasedAt = -1, now = NOON, catalogue = {}, isWhole = true } = moment;
  return {
    key: 'u',
    events,
    erasedAt,
    next: [events.length],
    firstDay: moment.firstDay ?? utcDay(now) - 100,
    now,
    halfLifeMs: HALF_LIFE_MS,
    catalogue: {
      isWhole,
      partitions: 1,
      get: (product) => {
        const entry = catalogue[product];
        if (entry === undefined) return undefined;
        const { at, deleted } = entry;
        return { category: deleted ? null : 'shoes', wasDeleted: deleted, partition: 0, offset: 0, changedAt: at };
      },
    },
    passed: {
      sweptDayOf: () => moment.sweptDay ?? utcDay(now),
      interactionsWrittenTo: () => writtenTo,
      hasSeen: () => true,
    },
  };
}

/** In the form that the online store holds. */
function stored(events: readonly CountedEvent[], asOf = NOON, deleted: readonly string[] = []): StoredInteractions {
  const answer = interactionsOf(events, asOf, HALF_LIFE_MS, new Set(deleted))!;
  const items = answer.items.map(({ product_id, weight, count, purchases }) => {
    return { productId: product_id, weight: Number(weight.toPrecision(10)), count, purchases };
  });
  return { asOf, items, truncated: answer.truncated };
}

function whats(outcome: Outcome): string[] {
  assert.equal(outcome.kind, 'different');
  return outcome.kind === 'different' ? outcome.differences.map(({ what }) => what) : [];
}

describe('any events', () => {
  const arbitrary = fc.array(
    fc.record({
      product: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      type: fc.constantFrom(...TYPES),
      ts: fc.integer({ min: NOON - 95 * DAY_MS, max: NOON }),
    }),
    { minLength: 1, maxLength: 30 },
  );

  test('up to some record beyond the written ones in the row: the same', () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), fc.nat(), (list, writtenBy, madeBy) => {
        const events = list.map((one, offset) => event(offset, one));
        const writtenTo = writtenBy % (events.length + 1);
        const made = writtenTo + (madeBy % (events.length - writtenTo + 1));
        const held = events.slice(0, made);
        const row = interactionsOf(held, NOON, HALF_LIFE_MS, new Set()) === null ? null : stored(held);
        const outcome = compareInteractions(known(events, { writtenTo }), row);
        assert.equal(outcome.kind, 'same');
        assert.ok(outcome.kind === 'same' && outcome.relativeError <= 5e-10);
      }),
    );
  });

  test('with a written one missing from the row, or twice in it: different', () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), fc.boolean(), (list, pick, twice) => {
        const recent = list.map((one, offset) => event(offset, { ...one, ts: NOON - (NOON - one.ts) / 2 }));
        const at = pick % recent.length;
        const one = recent[at]!;
        const wrong = twice ? [...recent, { ...one, offset: recent.length }] : recent.filter((each) => each !== one);
        const row = wrong.length === 0 ? null : stored(wrong);
        assert.equal(compareInteractions(known(recent), row).kind, 'different');
      }),
    );
  });
});

describe('more products than are shown', () => {
  // Five of fifteen light ones are shown; their names decide which.
  const events = Array.from({ length: 1_010 }, (_, i) =>
    event(i, { product: `p${i}`, type: i < 995 ? 'purchase' : 'view' }),
  );
  const row = stored(events);
  const look = (items: readonly StoredInteraction[], truncated: number, moment: Moment = {}) =>
    compareInteractions(known(events, moment), { ...row, items, truncated });

  test('the heaviest are compared, as well as the number of the others and that they are lighter', () => {
    assert.deepEqual([row.items.length, row.truncated], [1_000, 10]);
    assert.equal(look(row.items, 10).kind, 'same');
    const shown = new Set(row.items.map(({ productId }) => productId));
    const left = events.find(({ product }) => !shown.has(product))!.product;
    const [heaviest, ...rest] = row.items;
    const light = { ...row.items.at(-1)!, productId: left };
    assert.equal(look([...row.items.slice(0, -1), light], 10).kind, 'same', 'another one of the same weight');
    for (const wrong of [9, 11]) assert.deepEqual(whats(look(row.items, wrong)), ['truncated']);
    assert.deepEqual(whats(look([...rest, light], 10)), [`item ${heaviest!.productId}`]);
    assert.equal(whats(look(rest, 11)).length, 11, 'there is room for those left out');
    assert.deepEqual(whats(look([...row.items, light], 9)), ['items']);
  });

  test('lighter ones that may have been deleted by then may or may not be counted', () => {
    const catalogue: Record<string, { at: number; deleted: boolean }> = {
      p1008: { at: NOON, deleted: false },
      p1009: { at: NOON, deleted: true },
    };
    const loose = ['p1008', 'p1009'].filter((id) => !row.items.some(({ productId }) => productId === id)).length;
    const moment = { catalogue, isWhole: false };
    for (const id of events.map(({ product }) => product)) catalogue[id] ??= { at: 0, deleted: false };
    for (let counted = 0; counted <= loose; counted++) assert.equal(look(row.items, 10 - counted, moment).kind, 'same');
    assert.deepEqual(whats(look(row.items, 9 - loose, moment)), ['truncated']);
  });
});

describe('cases that cannot be decided', () => {
  const events = [event(0, { product: 'a' }), event(1, { product: 'b' })];

  test('an erasure that the row may not include yet: undecided', () => {
    const moment = { erasedAt: 3, writtenTo: 3 };
    assert.equal(compareInteractions(known([], moment), stored(events)).kind, 'undecided');
    assert.deepEqual(whats(compareInteractions(known([], { ...moment, writtenTo: 4 }), stored(events))), ['row']);
  });

  test('a product whose deletion may be gone from the catalogue: present or not, but right', () => {
    const moment = { isWhole: false, catalogue: { b: { at: 0, deleted: false } } };
    const look = (row: StoredInteractions | null) => compareInteractions(known(events, moment), row);
    assert.equal(look(stored(events)).kind, 'same');
    assert.equal(look(stored(events, NOON, ['a'])).kind, 'same');
    assert.deepEqual(whats(look(stored(events, NOON, ['b']))), ['item b']);
    assert.deepEqual(whats(look(stored([...events, event(2, { product: 'a' })]))), ['count of a', 'weight of a']);
    assert.deepEqual(whats(look(null)), ['row']);
    assert.equal(compareInteractions(known(events, { isWhole: false }), null).kind, 'left_out');
  });

  test('a product added just now: in a complete catalogue, it was never deleted', () => {
    const look = (isWhole: boolean) =>
      compareInteractions(
        known(events, { isWhole, catalogue: { a: { at: NOON, deleted: false } } }),
        stored([events[1]!]),
      );
    assert.deepEqual(whats(look(true)), ['item a']);
    assert.equal(look(false).kind, 'same');
  });

  test('days that are no longer known, until the sweep has removed them from the row: pending', () => {
    const old = event(0, { ts: NOON - 80 * DAY_MS });
    const asOf = NOON - 20 * DAY_MS;
    const moment = { firstDay: utcDay(NOON) - 91, sweptDay: utcDay(asOf) };
    // The row contains one more event, of a day that is gone here.
    const row = stored([event(1, { ts: NOON - 105 * DAY_MS }), old], asOf);
    assert.equal(compareInteractions(known([old], moment), row).kind, 'pending');
    assert.deepEqual(whats(compareInteractions(known([old], { ...moment, sweptDay: utcDay(NOON) }), row)), [
      'count of p',
      'weight of p',
    ]);
  });

  test('the sweep does not wait for a user with a pending change', () => {
    const asOf = NOON - DAY_MS;
    const written = event(0, { ts: NOON - 90 * DAY_MS });
    const waiting = event(1, { ts: asOf + HOUR_MS });
    const row = stored([written], asOf);
    assert.equal(compareInteractions(known([written, waiting], { writtenTo: 1 }), row).kind, 'same');
    assert.deepEqual(whats(compareInteractions(known([written], { writtenTo: 1 }), row)), ['day']);
  });
});
