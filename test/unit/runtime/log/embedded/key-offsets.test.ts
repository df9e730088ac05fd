import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyOffsets } from '../../../../../runtime/log/embedded/key-offsets.js';
import { Random } from '../../../../support/random.js';

test('agrees with a Map over many keys, including empty, binary, long and overwritten ones', () => {
  const random = new Random(5);
  const keys = new KeyOffsets();
  const model = new Map<string, number>();
  const bytes = Buffer.alloc(300);
  for (let offset = 0; offset < 40_000; offset++) {
    const length = random.below(10) === 0 ? random.below(300) : random.below(4);
    const start = random.below(300 - length + 1);
    for (let i = start; i < start + length; i++) bytes[i] = random.below(256);
    const key = bytes.toString('latin1', start, start + length);
    assert.equal(keys.get(bytes, start, start + length), model.get(key) ?? -1);
    keys.set(bytes, start, start + length, offset);
    model.set(key, offset);
  }
  assert.equal(keys.count, model.size);
  for (const [key, offset] of model) assert.equal(keys.get(Buffer.from(key, 'latin1'), 0, key.length), offset);
  assert.ok(keys.bytes > 0 && keys.bytes < 200 * model.size);
});
