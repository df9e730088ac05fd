/** Fencing ends an overlap. When it happens again and again to the same tasks, owners fence each other in turn. */
import assert from 'node:assert/strict';
import type { Member } from './member.js';

/** Refuses a member that was fenced twice in one task, or in a task that is not among these. */
export function assertFencedOnce(member: Member, tasks: readonly string[]): void {
  const fenced = member.failed('fenced');
  const again = fenced.filter((task, i) => fenced.indexOf(task) !== i);
  assert.deepEqual(again, [], `${member.name} was fenced again and again`);
  const others = fenced.filter((task) => !tasks.includes(task));
  assert.deepEqual(others, [], `${member.name} was fenced where nobody had a reason to`);
}
