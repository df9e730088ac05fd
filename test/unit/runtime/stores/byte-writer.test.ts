/** Numbers and texts of batches: hand-written output must read back as the original. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../../../runtime/stores/byte-writer.js';

function written(write: (writer: ByteWriter) => void, bytes?: number): string {
  const writer = new ByteWriter(1 << 20, () => new RangeError('too large'), bytes);
  write(writer);
  return writer.bytes.toString('utf8', 0, writer.at);
}

const decimal = (value: number) => written((writer) => writer.decimal(value), 1);

test('every double reads back unchanged', () => {
  for (const value of [
    0,
    1,
    0.1,
    0.25,
    1 / 3,
    2 ** -13,
    2 ** -13 + 2 ** -65,
    2 ** -14,
    1 - 2 ** -53,
    5e-324,
    -0.5,
    1e21,
  ])
    assert.equal(Number(decimal(value)), value);
  assert.equal(decimal(0.25), '0.25');
  const fraction = fc.double({ min: 0, max: 1, noNaN: true });
  const any = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0));
  fc.assert(
    fc.property(fc.oneof(fraction, any), (value) => Number(decimal(value)) === value),
    { numRuns: 20_000, seed: 7 },
  );
});

test('every text is written as UTF-8, and as JSON reads back unchanged', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary-ascii', maxLength: 100 }));
  fc.assert(
    fc.property(text, (value) => {
      assert.equal(
        written((writer) => writer.text(value), 1),
        value,
      );
      assert.equal(JSON.parse(written((writer) => writer.jsonText(value), 1)), value);
    }),
    { numRuns: 2_000, seed: 8 },
  );
});

test('values that do not fit are refused', () => {
  const writer = new ByteWriter(100, () => new RangeError('too large'), 10);
  assert.throws(() => writer.text('x'.repeat(101)), /too large/);
});
