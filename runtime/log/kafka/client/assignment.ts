/**
 * Assigns tasks to members: balanced to a difference of at most one, and sticky: a member keeps its tasks as long as
 * they are not more than its share. Pure, so that every leader computes the same assignment.
 */
import type { Claim } from '../wire/group-bytes.js';

/** Tasks of each member, ascending. */
export function assignTasks(tasks: number, claims: readonly Claim[]): Map<string, number[]> {
  const owned = uncontested(tasks, claims);
  // Members with the most tasks come first, so that the remainder of an uneven share moves as few tasks as possible.
  const members = [...owned].sort(([idA, a], [idB, b]) => b.length - a.length || (idA < idB ? -1 : 1));
  const share = Math.floor(tasks / members.length);
  const larger = tasks % members.length;
  const assigned = new Map(members.map(([id, held], i) => [id, held.slice(0, share + (i < larger ? 1 : 0))]));
  const taken = new Set([...assigned.values()].flat());
  const free = Array.from({ length: tasks }, (_, task) => task).filter((task) => !taken.has(task));
  for (const [i, [id]] of members.entries()) {
    const held = assigned.get(id)!;
    held.push(...free.splice(0, share + (i < larger ? 1 : 0) - held.length));
    held.sort((a, b) => a - b);
  }
  return assigned;
}

/** Tasks that each member held, without those that a later generation gave to another member. */
function uncontested(tasks: number, claims: readonly Claim[]): Map<string, number[]> {
  const holder = new Map<number, Claim>();
  for (const claim of claims) {
    for (const task of claim.tasks) {
      if (!Number.isInteger(task) || task < 0 || task >= tasks) continue;
      const other = holder.get(task);
      const wins =
        other === undefined ||
        claim.generation > other.generation ||
        (claim.generation === other.generation && claim.memberId < other.memberId);
      if (wins) holder.set(task, claim);
    }
  }
  const owned = new Map(claims.map(({ memberId }) => [memberId, [] as number[]]));
  for (const [task, { memberId }] of [...holder].sort(([a], [b]) => a - b)) owned.get(memberId)!.push(task);
  return owned;
}
