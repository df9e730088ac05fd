/** What may happen to a run: the table, and the picture above it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { END_STATUS, isEnded, type RunEvent, statesBefore, TRANSITIONS } from '../../../jobs/run-state.js';
import type { RunStatus } from '../../../jobs/runs.js';

const STATES = Object.keys(TRANSITIONS) as RunStatus[];
const EVENTS: readonly RunEvent[] = ['start', 'yield', 'succeed', 'fail', 'skip', 'cancel'];

describe('the states of a run', () => {
  test('end for good', () => {
    for (const state of STATES.filter(isEnded))
      for (const event of EVENTS) assert.equal(TRANSITIONS[state][event], null);
  });

  test('are ended by the events that end, in whatever state these mean something', () => {
    for (const [event, status] of Object.entries(END_STATUS) as ['fail', RunStatus][]) {
      assert.ok(isEnded(status));
      assert.ok(statesBefore(event).length > 0);
      for (const state of statesBefore(event)) assert.equal(TRANSITIONS[state][event], status);
    }
  });

  test('can all be reached from the queue', () => {
    const reached = new Set<RunStatus>(['queued']);
    for (let before = 0; before < reached.size; ) {
      before = reached.size;
      for (const state of reached)
        for (const event of EVENTS) {
          const next = TRANSITIONS[state][event];
          if (next !== null) reached.add(next);
        }
    }
    assert.deepEqual([...reached].sort(), [...STATES].sort());
  });

  test('let a run that was left running be started again, and only such a one be put back', () => {
    assert.deepEqual(statesBefore('start'), ['queued', 'running']);
    assert.deepEqual(statesBefore('yield'), ['running']);
  });
});
