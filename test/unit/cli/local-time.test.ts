import assert from 'node:assert/strict';
import { it } from 'node:test';
import { localTime } from '../../../cli/local-time.js';

it('shows a time in the zone of this machine, to the second', () => {
  assert.equal(localTime(new Date(2026, 4, 3, 7, 5, 9, 999)), '2026-05-03 07:05:09');
  assert.equal(localTime(null), '-');
});
