import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { POSITION_AGE_MS_MAX, rebuildingOf, rebuildReason } from '../../../../publishing/live/position-plan.js';
import type { SinkPosition } from '../../../../runtime/stores/online-store.js';

const NOW = Date.UTC(2026, 0, 31);
const LOG = { earliest: 10, lastStable: 90, highWatermark: 100 };
const held = (over: Partial<SinkPosition>): SinkPosition => ({
  epoch: 3,
  nextOffset: 50,
  updatedAt: NOW - 1000,
  incarnation: 'a',
  ...over,
});
const reason = (over: Partial<SinkPosition>) => rebuildReason(held(over), LOG, 'a', NOW);

describe('a sink continues', () => {
  test('at its next offset if nothing prevents it', () => {
    assert.equal(reason({}), null);
    assert.equal(reason({ nextOffset: 10 }), null);
    assert.equal(reason({ nextOffset: 100 }), null);
    assert.equal(reason({ updatedAt: NOW - POSITION_AGE_MS_MAX }), null);
  });

  test('from the start of the log if the position does not apply to it', () => {
    assert.equal(reason({ nextOffset: 0 }), 'never_applied');
    assert.equal(reason({ updatedAt: 0 }), 'never_applied');
    assert.equal(reason({ incarnation: 'b' }), 'other_incarnation');
    assert.equal(reason({ incarnation: rebuildingOf('a') }), 'unfinished_rebuild');
    assert.equal(reason({ updatedAt: NOW - POSITION_AGE_MS_MAX - 1 }), 'too_old');
    assert.equal(reason({ nextOffset: 9 }), 'below_log_start');
    assert.equal(reason({ nextOffset: 101 }), 'above_log_end');
  });

  test('with any incarnation if the log does not know it', () => {
    assert.equal(rebuildReason(held({ incarnation: 'b' }), LOG, null, NOW), null);
    assert.equal(rebuildReason(held({ incarnation: rebuildingOf('b') }), LOG, null, NOW), 'unfinished_rebuild');
  });

  test('with an empty incarnation like with any other, and its rebuild is distinguishable', () => {
    assert.equal(rebuildReason(held({ incarnation: '' }), LOG, '', NOW), null);
    assert.equal(rebuildReason(held({ incarnation: rebuildingOf('') }), LOG, '', NOW), 'unfinished_rebuild');
    assert.equal(rebuildReason(held({ incarnation: '' }), LOG, 'a', NOW), 'other_incarnation');
  });
});
