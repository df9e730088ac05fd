import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AvroCursor, AvroWriter } from '../../../schemas/avro-writer.js';
import { avroType } from '../../../schemas/codec.js';

const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const time = fc.integer({ min: -(2 ** 50), max: 2 ** 50 });
const count = fc.integer({ min: 0, max: 2 ** 50 });

test('a hand-written popularity record equals the output of its schema', () => {
  fc.assert(
    fc.property(text, text, fc.double({ noNaN: true }), time, count, (product_id, category, score, as_of, views) => {
      const record = { product_id, category, score, as_of, views, add_to_carts: 1, purchases: 0 };
      const writer = new AvroWriter().begin(Buffer.alloc(0)).string(product_id).string(category).double(score);
      const byHand = writer.long(as_of).long(views).long(1).long(0).finish();
      assert.deepEqual(byHand, avroType('Popularity').toBuffer(record));
    }),
  );
});

test('numbers and strings of any size can be read again', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }), fc.double(), text, (long, double, string) => {
      const bytes = new AvroWriter()
        .begin(Buffer.from([9]))
        .long(long)
        .double(double)
        .string(string)
        .finish();
      const cursor = new AvroCursor().reset(bytes, 1, bytes.length);
      assert.equal(cursor.long(), long);
      assert.deepEqual(cursor.double(), double);
      assert.equal(cursor.string(), string);
      assert.equal(cursor.at, bytes.length);
    }),
  );
});

test('a value cut short at any byte is refused', () => {
  const whole = new AvroWriter().begin(Buffer.alloc(0)).long(300).double(1.5).string('cedar planter').finish();
  for (let length = 0; length < whole.length; length++) {
    const cursor = new AvroCursor().reset(whole, 0, length);
    assert.throws(() => {
      cursor.long();
      cursor.double();
      cursor.string();
    }, RangeError);
  }
});
