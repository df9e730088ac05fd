/** The generators reach the edge cases they promise, and give the same result for the same seed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { utcDay } from '../../../publishing/audit/reference.js';
import { Codec } from '../../../schemas/codec.js';
import type { Event } from '../../../schemas/records.js';
import { STREAM_CATALOGUE, STREAM_DEFAULTS, stream } from '../../support/generator.js';
import { type LoadChunk, load } from '../../support/load.js';
import { Random, Zipf } from '../../support/random.js';
import { DEFAULT_SETTINGS, Reference } from '../../support/reference.js';

const DAY = 86_400_000;

describe('streams', () => {
  const seeds = Array.from({ length: 200 }, (_, seed) => seed);
  const settings = { ...DEFAULT_SETTINGS, partitions: STREAM_DEFAULTS.partitions };

  it('are the same for the same seed and different for another', () => {
    assert.deepEqual(stream(7), stream(7));
    assert.notDeepEqual(stream(7), stream(8));
  });

  it('have growing log times and offsets without holes', () => {
    for (const seed of seeds) {
      const ends = [0, 0];
      let last = 0;
      for (const { partition, offset, logTime } of stream(seed)) {
        assert.equal(offset, ends[partition]!++);
        assert.ok(logTime >= last);
        last = logTime;
      }
    }
  });

  it('reach every verdict and every edge case', () => {
    const met = new Map<string, number>();
    const meet = (what: string, times = 1) => met.set(what, (met.get(what) ?? 0) + times);
    for (const seed of seeds) {
      const records = stream(seed);
      const { intake } = new Reference(records, STREAM_CATALOGUE, settings);
      meet('counted', intake.counted.length);
      meet('late', intake.late.length);
      meet('duplicate', intake.duplicates.length);
      meet('erasure', intake.erasures.length);
      meet('forgotten', intake.counted.filter(({ forgotten }) => forgotten).length);
      for (const { reason } of intake.dead) meet(reason);
      const seen = new Map<string, number>();
      for (const { value, logTime } of records) {
        if (value === null) continue;
        const id = `${value.user_id}/${value.event_id}`;
        const age = logTime - (seen.get(id) ?? 0);
        seen.set(id, logTime);
        if (age === STREAM_DEFAULTS.duplicateHorizonMs) meet('repeat at the horizon');
        if (age === STREAM_DEFAULTS.duplicateHorizonMs + 1) meet('repeat behind the horizon');
        if (value.ts > logTime && value.ts <= logTime + 300_000) meet('ahead');
        if (utcDay(value.ts) === utcDay(logTime) - 89) meet('90th day');
        if (value.ts === (utcDay(logTime) - 89) * DAY) meet('first millisecond of the window');
        if (utcDay(value.ts) === Date.UTC(2028, 1, 29) / DAY) meet('leap day');
        if (logTime % DAY === 0) meet('midnight');
        if (value.ts < DAY) meet('1970');
        if (value.category === null) meet('no category');
      }
    }
    for (const what of [
      ...['counted', 'late', 'duplicate', 'erasure', 'forgotten', 'malformed', 'future', 'ahead', '90th day'],
      ...['first millisecond of the window', 'leap day', 'midnight', '1970', 'no category'],
      ...['repeat at the horizon', 'repeat behind the horizon'],
    ])
      assert.ok((met.get(what) ?? 0) >= 10, `${what}: met ${met.get(what) ?? 0} times in ${seeds.length} streams`);
  });
});

describe('load', () => {
  const endMs = Date.UTC(2026, 10, 3, 12);
  const options = { endMs, events: 30_000, users: 2000, products: 1000, seed: 3 };
  const codec = new Codec();

  function rows(chunks: Iterable<LoadChunk>): { key: string; event: Event; bytes: number }[] {
    return [...chunks].flatMap((chunk) =>
      Array.from({ length: chunk.count }, (_, i) => ({
        key: chunk.bytes.toString('utf8', chunk.keyStart[i]!, chunk.keyEnd[i]!),
        event: codec.decode('Event', chunk.bytes, chunk.valueStart[i]!, chunk.valueEnd[i]!) as Event,
        bytes: chunk.valueEnd[i]! - chunk.valueStart[i]!,
      })),
    );
  }

  it('is readable Avro of about 80 bytes, keyed by user, spread over the whole window', () => {
    const all = rows(load(options));
    assert.equal(all.length, options.events);
    assert.ok(all.every(({ key, event }) => key === event.user_id));
    const mean = all.reduce((sum, { bytes }) => sum + bytes, 0) / all.length;
    assert.ok(mean > 75 && mean < 85, `${mean} bytes`);
    const days = new Set(all.map(({ event }) => utcDay(endMs) - utcDay(event.ts)));
    assert.deepEqual(
      [...days].sort((a, b) => a - b),
      Array.from({ length: 90 }, (_, i) => i),
    );
    assert.ok(all.every(({ event }) => event.ts <= endMs));
  });

  it('contains the promised shares of repeats and of stragglers', () => {
    const all = rows(load(options));
    const distinct = new Set(all.map(({ event }) => event.event_id)).size;
    const repeats = (all.length - distinct) / all.length;
    assert.ok(repeats > 0.003 && repeats < 0.007, `${repeats} repeats`);
    let newest = 0;
    let behind = 0;
    for (const { event } of all) {
      if (event.ts < newest - 60_000) behind++;
      newest = Math.max(newest, event.ts);
    }
    assert.ok(behind / all.length > 0.005 && behind / all.length < 0.02, `${behind} behind`);
  });

  it('includes every user and product on request', () => {
    const all = rows(load({ ...options, events: 3000, everyId: true }));
    assert.equal(new Set(all.map(({ key }) => key)).size, options.users);
    assert.equal(new Set(all.map(({ event }) => event.product_id)).size, options.products);
  });

  it('is the same for the same seed', () => {
    assert.deepEqual(rows(load({ ...options, events: 100 })), rows(load({ ...options, events: 100 })));
  });
});

describe('Zipf', () => {
  it('draws each rank with its probability', () => {
    const n = 50;
    const draws = 200_000;
    const zipf = new Zipf(n, 1.05);
    const random = new Random(5);
    const hits = new Array<number>(n).fill(0);
    for (let i = 0; i < draws; i++) hits[zipf.draw(random)]!++;
    const total = hits.reduce((sum, _, i) => sum + (i + 1) ** -1.05, 0);
    for (let i = 0; i < n; i++) {
      const expected = (draws * (i + 1) ** -1.05) / total;
      assert.ok(Math.abs(hits[i]! - expected) < 5 * Math.sqrt(expected), `rank ${i}: ${hits[i]} of ${expected}`);
    }
  });
});
