/** Fencing ends an overlap. If the same tasks are fenced repeatedly, owners are fencing each other in turn. */
import assert from 'node:assert/strict';
import type { Member } from './member.js';

/** Fails if a member was fenced twice in one task, or in a task that is not among these. */
export function assertFencedOnce(member: Member, tasks: readonly string[]): void {
  const fenced = member.failed('fenced');
  const again = fenced.filter((task, i) => fenced.indexOf(task) !== i);
  assert.deepEqual(again, [], `${member.name} was fenced repeatedly`);
  const others = fenced.filter((task) => !tasks.includes(task));
  assert.deepEqual(others, [], `${member.name} was fenced without a reason`);
}
