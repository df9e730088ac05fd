/** A bell: what rings it is not lost, and one ring ends one wait. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bell } from '../../../jobs/bell.js';
import { ManualClock } from '../../support/manual-clock.js';

describe('a bell', () => {
  test('ends a wait at once, and the next one when it was rung before it', async () => {
    const bell = new Bell(new ManualClock(0));
    const waiting = bell.wait(1_000);
    bell.ring();
    await waiting;
    bell.ring();
    bell.ring();
    await bell.wait(1_000);
  });

  test('that nobody rings lets the wait take its time', async () => {
    const clock = new ManualClock(0);
    const bell = new Bell(clock);
    bell.ring();
    await bell.wait(1_000);
    let isOver = false;
    const waiting = bell.wait(1_000).then(() => {
      isOver = true;
    });
    clock.advance(999);
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    clock.advance(1);
    await waiting;
  });
});
