import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readInt64, writeInt64 } from '../../../../runtime/process/int64.js';

test('64-bit numbers survive up to 2^53 in both directions', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const out = Buffer.alloc(8);
      writeInt64(out, value, 0);
      assert.equal(readInt64(out, 0), value);
      assert.equal(out.readBigInt64BE(0), BigInt(value));
    }),
    { seed: 4 },
  );
});
