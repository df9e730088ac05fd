/** The reference itself, checked against sums small enough to do by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RawRecord, relativeError } from '../../../../publishing/audit/reference.js';
import type { Event } from '../../../../schemas/records.js';
import { partitionOf } from '../../../../topics/partition.js';
import { DEFAULT_SETTINGS, EMPTY_CATALOGUE, intake, Reference } from '../../../support/reference.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOON = Date.UTC(2026, 10, 3, 12);

function event(offset: number, logTime: number, value: Partial<Event> = {}, partition = 0): RawRecord {
  const full: Event = {
    event_id: `e${partition}-${offset}`,
    user_id: 'u',
    product_id: 'p',
    category: null,
    event_type: 'view',
    ts: logTime,
    ...value,
  };
  return { partition, offset, logTime, key: full.user_id, value: full };
}

function erasure(offset: number, logTime: number, user = 'u'): RawRecord {
  return { partition: 0, offset, logTime, key: user, value: null };
}

function near(actual: number | undefined, expected: number): void {
  assert.ok(actual !== undefined && relativeError(actual, expected) < 1e-14, `${actual} is not ${expected}`);
}

describe('popularity', () => {
  it('weighs view 1, add_to_cart 2, purchase 3 and halves every 14 days', () => {
    const reference = new Reference([
      event(0, NOON - 14 * DAY),
      event(1, NOON - 14 * DAY, { event_type: 'add_to_cart' }),
      event(2, NOON - 28 * DAY, { event_type: 'purchase' }),
      event(3, NOON),
    ]);
    const answer = reference.popularity('p', NOON);
    near(answer?.score, 0.5 + 1 + 0.75 + 1);
    assert.deepEqual(
      { ...answer, score: 0 },
      { score: 0, views: 2, add_to_carts: 1, purchases: 1, category: 'unknown' },
    );
    near(reference.popularity('p', NOON + 14 * DAY)?.score, 3.25 / 2);
  });

  it('takes its half-life from the settings', () => {
    const reference = new Reference([event(0, NOON - HOUR)], EMPTY_CATALOGUE, {
      ...DEFAULT_SETTINGS,
      popularityHalfLifeMs: HOUR,
    });
    near(reference.popularity('p', NOON)?.score, 0.5);
  });

  it('shows the category of the catalogue, never the event’s own', () => {
    const catalogue = { categories: new Map([['p', 'shoes']]), deleted: new Set<string>() };
    assert.equal(
      new Reference([event(0, NOON, { category: 'hats' })], catalogue).popularity('p', NOON)?.category,
      'shoes',
    );
  });

  it('has no deleted products and no products without events', () => {
    const catalogue = { categories: new Map([['p', 'shoes']]), deleted: new Set(['p']) };
    assert.equal(new Reference([event(0, NOON)], catalogue).popularity('p', NOON), null);
    assert.equal(new Reference([event(0, NOON)]).popularity('q', NOON), null);
  });
});

describe('window', () => {
  it('includes the first millisecond of the 89th day back and nothing older', () => {
    const first = Math.floor(NOON / DAY) * DAY - 89 * DAY;
    const reference = new Reference([event(0, NOON, { ts: first }), event(1, NOON, { ts: first - 1 })]);
    assert.equal(reference.popularity('p', NOON)?.views, 1);
    assert.deepEqual(
      reference.intake.late.map(({ offset }) => offset),
      [1],
    );
  });

  it('loses a whole day at midnight UTC, and only then', () => {
    const midnight = Math.floor(NOON / DAY) * DAY + DAY;
    const reference = new Reference([event(0, NOON - 89 * DAY), event(1, NOON - 88 * DAY)]);
    assert.equal(reference.popularity('p', midnight - 1)?.views, 2);
    assert.equal(reference.popularity('p', midnight)?.views, 1);
    assert.equal(reference.popularity('p', midnight + DAY), null);
    assert.equal(reference.affinity('u', midnight + DAY), null);
    assert.equal(reference.interactions('u', midnight + DAY), null);
  });

  it('counts the leap day as a day', () => {
    const logTime = Date.UTC(2028, 4, 28, 1);
    const leap = Date.UTC(2028, 1, 29);
    const reference = new Reference([event(0, logTime, { ts: leap }), event(1, logTime, { ts: leap - 1 })]);
    assert.equal(reference.intake.late.length, 1);
    assert.equal(reference.popularity('p', logTime)?.views, 1);
    assert.equal(reference.popularity('p', Date.UTC(2028, 4, 29)), null);
  });

  it('judges lateness by the record’s own log time', () => {
    assert.equal(intake([event(0, NOON, { ts: 0 })], DEFAULT_SETTINGS).late.length, 1);
    assert.equal(intake([event(0, NOON, { ts: -1 })], DEFAULT_SETTINGS).late.length, 1);
  });
});

describe('future', () => {
  it('counts up to five minutes ahead as log time and refuses anything further ahead', () => {
    const reference = new Reference([
      event(0, NOON, { ts: NOON + 5 * 60_000 }),
      event(1, NOON, { ts: NOON + 5 * 60_000 + 1 }),
    ]);
    near(reference.popularity('p', NOON)?.score, 1);
    assert.equal(reference.interactions('u', NOON)?.items[0]?.last_ts, NOON);
    assert.deepEqual(
      reference.intake.dead.map(({ record, reason }) => [record.offset, reason]),
      [[1, 'future']],
    );
  });
});

describe('distinct', () => {
  const same = { event_id: 'same' };

  it('drops a repeat at the horizon and counts one beyond it', () => {
    const at = intake([event(0, NOON, same), event(1, NOON + 6 * HOUR, same)], DEFAULT_SETTINGS);
    assert.deepEqual([at.counted.length, at.duplicates.length], [1, 1]);
    const behind = intake([event(0, NOON, same), event(1, NOON + 6 * HOUR + 1, same)], DEFAULT_SETTINGS);
    assert.deepEqual([behind.counted.length, behind.duplicates.length], [2, 0]);
  });

  it('lets a repeat that was not counted renew the horizon', () => {
    const { duplicates } = intake(
      [event(0, NOON, same), event(1, NOON + 5 * HOUR, same), event(2, NOON + 10 * HOUR, same)],
      DEFAULT_SETTINGS,
    );
    assert.deepEqual(
      duplicates.map(({ offset }) => offset),
      [1, 2],
    );
  });

  it('measures the horizon on the partition’s clock, not on the record’s time', () => {
    const records = [event(0, NOON, same), event(1, NOON + 7 * HOUR), event(2, NOON + HOUR, same)];
    assert.equal(intake(records, DEFAULT_SETTINGS).duplicates.length, 0);
  });

  it('moves the clock with every record, including those it refuses', () => {
    const records = [
      event(0, NOON, same),
      { ...event(1, NOON + 7 * HOUR), key: null },
      event(2, NOON + HOUR, { ...same, ts: NOON }),
    ];
    assert.equal(intake(records, DEFAULT_SETTINGS).duplicates.length, 0);
  });

  it('ignores ids of refused and late records', () => {
    const records = [
      event(0, NOON, { ...same, ts: NOON + DAY }),
      event(1, NOON, { ...same, ts: 0 }),
      event(2, NOON, same),
    ];
    const { counted, duplicates } = intake(records, DEFAULT_SETTINGS);
    assert.deepEqual([counted.length, duplicates.length], [1, 0]);
  });

  it('is per user and per partition, and takes the first in the log', () => {
    const records = [
      event(1, NOON, { ...same, event_type: 'purchase' }),
      event(0, NOON, same),
      event(2, NOON, { ...same, user_id: 'v' }),
      event(0, NOON, same, 1),
    ];
    const { counted } = intake(records, DEFAULT_SETTINGS);
    assert.deepEqual(
      counted.map((one) => [one.partition, one.user, one.type]),
      [
        [0, 'u', 'view'],
        [0, 'v', 'view'],
        [1, 'u', 'view'],
      ],
    );
  });
});

describe('shape', () => {
  it('refuses records that are not events', () => {
    const records = [
      event(0, NOON, { event_type: 'like' as never }),
      { ...event(1, NOON), key: 'other' },
      event(2, NOON, { product_id: 'p'.repeat(257) }),
      event(3, NOON, { category: 'é'.repeat(129) }),
      event(4, NOON, { product_id: 'é'.repeat(128) }),
      { ...erasure(5, NOON), key: null },
    ];
    const { dead, counted } = intake(records, DEFAULT_SETTINGS);
    assert.deepEqual(
      dead.map(({ record, reason }) => [record.offset, reason]),
      [0, 1, 2, 3, 5].map((offset) => [offset, 'malformed']),
    );
    assert.deepEqual(
      counted.map(({ offset }) => offset),
      [4],
    );
  });

  it('refuses an event and an erasure outside their key’s partition', () => {
    const wrong = 1 - partitionOf(2, Buffer.from('u'));
    const records = [event(0, NOON, {}, wrong), { ...erasure(1, NOON), partition: wrong }];
    const { dead, counted, erasures } = intake(records, { ...DEFAULT_SETTINGS, partitions: 2 });
    assert.deepEqual(
      dead.map(({ reason }) => reason),
      ['wrong_partition', 'wrong_partition'],
    );
    assert.deepEqual([counted.length, erasures.length], [0, 0]);
  });
});

describe('affinity', () => {
  it('is the share of each category: the event’s own, otherwise the catalogue’s', () => {
    const catalogue = { categories: new Map([['p', 'shoes']]), deleted: new Set<string>() };
    const reference = new Reference(
      [
        event(0, NOON - 30 * DAY, { event_type: 'add_to_cart' }),
        event(1, NOON, { category: 'hats', event_type: 'purchase' }),
        event(2, NOON, { product_id: 'q' }),
        event(3, NOON, { product_id: 'q', category: 'shoes' }),
      ],
      catalogue,
    );
    const shares = reference.affinity('u', NOON);
    near(shares?.get('shoes'), 2 / 6);
    near(shares?.get('hats'), 3 / 6);
    near(shares?.get('unknown'), 1 / 6);
    assert.equal(shares?.size, 3);
  });

  it('keeps the 256 largest and adds up the rest as other', () => {
    const records = Array.from({ length: 300 }, (_, i) =>
      event(i, NOON, { category: `c${i}`, event_type: i < 256 ? 'purchase' : 'view' }),
    );
    const shares = new Reference(records).affinity('u', NOON);
    assert.equal(shares?.size, 257);
    near(shares?.get('other'), 44 / (256 * 3 + 44));
    near(
      [...(shares?.values() ?? [])].reduce((a, b) => a + b),
      1,
    );
  });

  it('adds a category actually named other to the rest', () => {
    const records = Array.from({ length: 257 }, (_, i) =>
      event(i, NOON, { category: i === 0 ? 'other' : `c${i}`, event_type: i === 256 ? 'view' : 'purchase' }),
    );
    const shares = new Reference(records).affinity('u', NOON);
    assert.equal(shares?.size, 256);
    near(shares?.get('other'), 4 / (256 * 3 + 1));
  });

  it('survives half-lives so short that every weight underflows', () => {
    const settings = { ...DEFAULT_SETTINGS, affinityHalfLifeMs: HOUR };
    const records = [
      event(0, NOON - 88 * DAY, { category: 'a' }),
      event(1, NOON - 88 * DAY - HOUR, { category: 'b', event_type: 'add_to_cart' }),
    ];
    near(new Reference(records, EMPTY_CATALOGUE, settings).affinity('u', NOON)?.get('a'), 0.5);
  });
});

describe('interactions', () => {
  it('lists decayed weight, raw counts and newest time, heaviest first', () => {
    const reference = new Reference([
      event(0, NOON - 30 * DAY, { product_id: 'a' }),
      event(1, NOON - 60 * DAY, { product_id: 'a' }),
      event(2, NOON, { product_id: 'b', event_type: 'purchase' }),
    ]);
    assert.deepEqual(reference.interactions('u', NOON), {
      items: [
        { product_id: 'b', weight: 3, count: 1, last_ts: NOON, purchases: 1 },
        { product_id: 'a', weight: 0.75, count: 2, last_ts: NOON - 30 * DAY, purchases: 0 },
      ],
      truncated: 0,
    });
  });

  it('leaves out deleted products, and users who have no others', () => {
    const catalogue = { categories: new Map<string, string>(), deleted: new Set(['p']) };
    const events = [event(0, NOON), event(1, NOON, { product_id: 'q' }), event(2, NOON, { user_id: 'v' })];
    const reference = new Reference(events, catalogue);
    assert.deepEqual(
      reference.interactions('u', NOON)?.items.map(({ product_id }) => product_id),
      ['q'],
    );
    assert.equal(reference.interactions('v', NOON), null);
    near(reference.affinity('v', NOON)?.get('unknown'), 1);
  });

  it('leaves out all but the 1,000 heaviest and reports how many', () => {
    const records = Array.from({ length: 1003 }, (_, i) =>
      event(i, NOON, { product_id: `p${i}`, event_type: i < 3 ? 'view' : 'purchase' }),
    );
    const answer = new Reference(records).interactions('u', NOON);
    assert.equal(answer?.items.length, 1000);
    assert.equal(answer?.truncated, 3);
    assert.ok(answer?.items.every(({ weight }) => weight === 3));
  });
});

describe('erasure', () => {
  it('drops the user’s events before its offset, and leaves popularity alone', () => {
    const reference = new Reference([
      event(0, NOON, { product_id: 'a', category: 'x' }),
      event(1, NOON, { user_id: 'v' }),
      erasure(2, NOON),
      event(3, NOON - HOUR, { product_id: 'b', category: 'y' }),
    ]);
    assert.deepEqual([...(reference.affinity('u', NOON)?.keys() ?? [])], ['y']);
    assert.deepEqual(
      reference.interactions('u', NOON)?.items.map(({ product_id }) => product_id),
      ['b'],
    );
    near(reference.popularity('a', NOON)?.score, 1);
    assert.notEqual(reference.affinity('v', NOON), null);
  });

  it('leaves nothing of a user without later events', () => {
    const reference = new Reference([event(0, NOON), erasure(1, NOON)]);
    assert.equal(reference.affinity('u', NOON), null);
    assert.deepEqual(reference.users, []);
  });

  it('does not free the ids: a repeat within the horizon is still a repeat', () => {
    const reference = new Reference([
      event(0, NOON, { event_id: 'same' }),
      erasure(1, NOON),
      event(2, NOON, { event_id: 'same' }),
    ]);
    assert.equal(reference.intake.duplicates.length, 1);
    near(reference.popularity('p', NOON)?.score, 1);
  });
});
