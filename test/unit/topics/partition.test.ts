import assert from 'node:assert/strict';
import { test } from 'node:test';
import { murmur2, partitionOf } from '../../../topics/partition.js';

/** From the tests of the Java client. */
const JAVA: readonly [string, number][] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

test('I7: murmur2 gives the same hash as the Java client', () => {
  for (const [text, hash] of JAVA) assert.equal(murmur2(Buffer.from(text)), hash, text);
});

test('a range of a larger buffer hashes like the bytes alone', () => {
  const bytes = Buffer.from('xxfoobaryy');
  assert.equal(murmur2(bytes, 2, 8), murmur2(Buffer.from('foobar')));
});

test('partitions are within bounds and used evenly', () => {
  const counts = new Array<number>(12).fill(0);
  for (let i = 0; i < 12_000; i++) counts[partitionOf(12, Buffer.from(`u-${i}`))]!++;
  for (const count of counts) assert.ok(count > 800 && count < 1200, counts.join(' '));
});
