/** Entities waiting for the next emission, when commits and table changes interleave. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WindowedState } from '../../../../processors/features/windowed-state.js';

const NOON = Date.UTC(2026, 10, 3, 12);

test('an entity that becomes due while a commit is in flight stays due for the next one', () => {
  const state = new WindowedState(() => undefined);
  state.start(NOON, -1, NOON);
  const visited: number[] = [];
  const visit = (entity: number) => visited.push(entity);
  state.due.add(1);
  state.visitDue(NOON, visit);
  state.due.add(2);
  state.committed();
  assert.ok(state.isDue(NOON));
  state.visitDue(NOON, visit);
  state.visitDue(NOON, visit);
  state.committed();
  assert.deepEqual(visited, [1, 2, 2], 'an uncommitted visit is repeated');
  assert.ok(!state.isDue(NOON));
});

test('an entity in flight when a table changes is emitted once more, and only then', () => {
  const state = new WindowedState(() => undefined);
  state.start(NOON, -1, NOON);
  const visited: number[] = [];
  const visit = (entity: number) => visited.push(entity);
  state.due.add(1);
  // Not in flight yet: the coming visit shows the change.
  state.tableChanged(1);
  state.visitDue(NOON, visit);
  state.tableChanged(1);
  state.committed();
  state.visitDue(NOON, visit);
  state.committed();
  assert.deepEqual(visited, [1, 1]);
  assert.ok(!state.isDue(NOON));
});
