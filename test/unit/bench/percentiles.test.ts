import assert from 'node:assert/strict';
import { it } from 'node:test';
import { percentile } from '../../bench/percentiles.js';

it('a percentile is the smallest measured value that enough others do not exceed', () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)], [100, 198, 200]);
  assert.equal(percentile([7], 0.01), 7);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});
