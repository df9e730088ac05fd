import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { InputError } from '../../../ingest/input-error.js';
import { parseTime } from '../../../ingest/time.js';

const ACCEPTED: [unknown, string][] = [
  ['2025-06-01T12:00:00Z', '2025-06-01T12:00:00.000Z'],
  ['2025-06-01t12:00:00z', '2025-06-01T12:00:00.000Z'],
  ['2025-06-01 12:00:00Z', '2025-06-01T12:00:00.000Z'],
  ['2025-06-01T12:00Z', '2025-06-01T12:00:00.000Z'],
  ['2025-06-01T12:00:00.1Z', '2025-06-01T12:00:00.100Z'],
  ['2025-06-01T12:00:00,25Z', '2025-06-01T12:00:00.250Z'],
  ['2025-06-01T12:00:00.123456Z', '2025-06-01T12:00:00.123Z'],
  ['2025-06-01T12:00:00.999999999999Z', '2025-06-01T12:00:00.999Z'],
  ['2025-06-01T12:00:00.290Z', '2025-06-01T12:00:00.290Z'],
  ['2025-06-01T12:00:00+02:00', '2025-06-01T10:00:00.000Z'],
  ['2025-06-01T12:00:00+0530', '2025-06-01T06:30:00.000Z'],
  ['2025-06-01T12:00:00-08', '2025-06-01T20:00:00.000Z'],
  ['2025-06-01T00:30:00.5+14:00', '2025-05-31T10:30:00.500Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ['2025-06-30T24:00:00Z', '2025-07-01T00:00:00.000Z'],
  ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.999Z'],
  ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
  ['0050-01-01T00:00:00Z', '0050-01-01T00:00:00.000Z'],
  [0, '1970-01-01T00:00:00.000Z'],
  [-1, '1969-12-31T23:59:59.999Z'],
  [1_748_779_200_000.7, '2025-06-01T12:00:00.000Z'],
];

const REFUSED: [unknown, RegExp][] = [
  ['2025-06-01T12:00:00', /time zone/],
  ['2025-06-01', /ISO 8601/],
  ['2025-02-29T00:00:00Z', /ISO 8601/],
  ['2025-13-01T00:00:00Z', /ISO 8601/],
  ['2025-00-10T00:00:00Z', /ISO 8601/],
  ['2025-06-31T00:00:00Z', /ISO 8601/],
  ['2025-06-01T25:00:00Z', /ISO 8601/],
  ['2025-06-01T24:00:01Z', /ISO 8601/],
  ['2025-06-01T12:60:00Z', /ISO 8601/],
  ['2025-06-01T12:00:61Z', /ISO 8601/],
  ['2025-06-01T12:00:00+24:00', /ISO 8601/],
  ['2025-06-01T12:00:00+02:75', /ISO 8601/],
  ['1748779200000', /as a number/],
  ['yesterday', /ISO 8601/],
  ['', /ISO 8601/],
  [Number.NaN, /milliseconds/],
  [Number.POSITIVE_INFINITY, /milliseconds/],
  [9e15, /milliseconds/],
  [null, /milliseconds/],
  [true, /milliseconds/],
  [{}, /milliseconds/],
];

describe('parseTime', () => {
  for (const [given, expected] of ACCEPTED) {
    it(`reads ${JSON.stringify(given)}`, () => {
      assert.equal(new Date(parseTime('ts', given)).toISOString(), expected);
    });
  }

  for (const [given, sentence] of REFUSED) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      assert.throws(
        () => parseTime('ts', given),
        (error: Error) =>
          error instanceof InputError && sentence.test(error.message) && error.message.startsWith('"ts"'),
      );
    });
  }

  it('reads the ISO form of any date, with any offset', () => {
    const date = fc.date({ noInvalidDate: true, min: new Date(Date.UTC(100, 0)), max: new Date(Date.UTC(9990, 0)) });
    const offsetMinutes = fc.integer({ min: -14 * 60, max: 14 * 60 });
    fc.assert(
      fc.property(date, offsetMinutes, (time, offset) => {
        const local = new Date(time.getTime() + offset * 60_000).toISOString().slice(0, -1);
        const pad = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, '0');
        const text = `${local}${offset < 0 ? '-' : '+'}${pad(offset / 60)}:${pad(offset % 60)}`;
        assert.equal(parseTime('ts', text), time.getTime());
      }),
      { seed: 7 },
    );
  });
});
