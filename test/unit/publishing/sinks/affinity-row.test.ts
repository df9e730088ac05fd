import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { affinityReader } from '../../../../publishing/sinks/affinity-row.js';
import { avroType, Codec, SchemaError } from '../../../../schemas/codec.js';

const codec = new Codec();
// A category of this name is read correctly, but no object produced by the schema's own decoding can hold it.
const category = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((name) => name !== '__proto__');
const scores = fc.dictionary(category, fc.double({ min: 0, max: 1, noNaN: true }), { noNullPrototype: true });

test('a row read in place equals what the schema decodes', () => {
  const read = affinityReader();
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.nat(), scores, (user_id, as_of, given) => {
      const value = codec.encode('Affinity', { user_id, as_of, scores: given });
      const row = read(codec, value, 0, value.length);
      assert.deepEqual({ userId: row.userId, asOf: row.asOf }, { userId: user_id, asOf: as_of });
      const decoded = (codec.decode('Affinity', value) as { scores: Record<string, number> }).scores;
      const pairs = row.categories.map((name, i) => [name, row.shares[i]]);
      assert.deepEqual(pairs.sort(), Object.entries(decoded).sort());
    }),
  );
});

test('a value truncated anywhere, or with trailing bytes, is refused', () => {
  const read = affinityReader();
  const value = codec.encode('Affinity', { user_id: 'u', as_of: 1, scores: { hats: 0.25, shoes: 0.75 } });
  for (let end = 0; end < value.length; end++) assert.throws(() => read(codec, value, 0, end), SchemaError);
  assert.throws(() => read(codec, Buffer.concat([value, Buffer.from([0])]), 0, value.length + 1), SchemaError);
});

test('blocks preceded by their size, as other writers may write them, are read too', () => {
  const body = avroType('Affinity').toBuffer({ user_id: 'u', as_of: 1, scores: { hats: 1 } });
  // user_id (2 bytes), as_of (1), then the block: count 1 (0x02) becomes −1 (0x01) followed by the block's size.
  const block = body.subarray(4, -1);
  const sized = Buffer.concat([body.subarray(0, 3), Buffer.from([0x01, block.length * 2]), block, Buffer.from([0])]);
  const value = Buffer.concat([codec.prefix('Affinity'), sized]);
  assert.deepEqual(affinityReader()(codec, value, 0, value.length).categories, ['hats']);
});

test('a category named __proto__ is a category', () => {
  const value = codec.encode('Affinity', { user_id: 'u', as_of: 1, scores: JSON.parse('{"__proto__": 1}') });
  const row = affinityReader()(codec, value, 0, value.length);
  assert.deepEqual(row.categories, ['__proto__']);
  assert.deepEqual(row.shares, [1]);
});
