/** Assignment of tasks: complete, balanced, sticky, and the same for every leader. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assignTasks } from '../../../../../../runtime/log/kafka/client/assignment.js';
import type { Claim } from '../../../../../../runtime/log/kafka/wire/group-bytes.js';

const claim = (memberId: string, tasks: readonly number[] = [], generation = 1): Claim => ({
  memberId,
  generation,
  tasks,
});
const shares = (tasks: number, claims: readonly Claim[]) => Object.fromEntries(assignTasks(tasks, claims));

describe('assignment of tasks', () => {
  test('one member has all, two have halves, more members than tasks leave some idle', () => {
    assert.deepEqual(shares(3, [claim('a')]), { a: [0, 1, 2] });
    assert.deepEqual(shares(4, [claim('b'), claim('a')]), { a: [0, 1], b: [2, 3] });
    assert.deepEqual(shares(1, [claim('a'), claim('b'), claim('c')]), { a: [0], b: [], c: [] });
    assert.deepEqual(shares(0, [claim('a')]), { a: [] });
  });

  test('a newcomer takes only what the others must give up', () => {
    assert.deepEqual(shares(6, [claim('z', [0, 1, 2, 3, 4, 5]), claim('a')]), { z: [0, 1, 2], a: [3, 4, 5] });
    assert.deepEqual(shares(7, [claim('a', [4, 5, 6]), claim('b', [0, 1, 2, 3])]), { b: [0, 1, 2, 3], a: [4, 5, 6] });
  });

  test('of two claims, the later generation wins', () => {
    assert.deepEqual(shares(2, [claim('old', [0, 1], 3), claim('new', [1], 4)]), { old: [0], new: [1] });
  });

  test('claims of tasks that do not exist are ignored', () => {
    assert.deepEqual(shares(2, [claim('a', [-1, 5, 1.5, Number.NaN]), claim('b', [1])]), { a: [0], b: [1] });
  });

  const scenario = fc.record({
    tasks: fc.nat(40),
    claims: fc.uniqueArray(
      fc.record({
        memberId: fc.string({ minLength: 1, maxLength: 4 }),
        generation: fc.integer({ min: -1, max: 5 }),
        tasks: fc.array(fc.integer({ min: -2, max: 45 }), { maxLength: 40 }),
      }),
      { selector: ({ memberId }) => memberId, minLength: 1, maxLength: 8 },
    ),
  });

  test('every task has exactly one member, and shares differ by at most one', () => {
    fc.assert(
      fc.property(scenario, ({ tasks, claims }) => {
        const assigned = assignTasks(tasks, claims);
        assert.deepEqual([...assigned.keys()].sort(), claims.map(({ memberId }) => memberId).sort());
        const all = [...assigned.values()].flat().sort((a, b) => a - b);
        assert.deepEqual(
          all,
          Array.from({ length: tasks }, (_, task) => task),
        );
        const sizes = [...assigned.values()].map((held) => held.length);
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test('the order in which members are listed does not matter, and a second assignment changes nothing', () => {
    fc.assert(
      fc.property(scenario, ({ tasks, claims }) => {
        const assigned = assignTasks(tasks, claims);
        assert.deepEqual(shares(tasks, [...claims].reverse()), Object.fromEntries(assigned));
        const again = [...assigned].map(([memberId, held]) => claim(memberId, held, 9));
        assert.deepEqual(shares(tasks, again), Object.fromEntries(assigned));
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  test('when a member leaves, no other loses a task; when one joins, no other gains one', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 2, max: 8 }), fc.nat(), (tasks, members, who) => {
        const names = Array.from({ length: members }, (_, i) => `m${i}`);
        const before = assignTasks(
          tasks,
          names.map((name) => claim(name)),
        );
        const claims = [...before].map(([name, held]) => claim(name, held, 2));
        const left = claims.filter((_, i) => i !== who % members);
        for (const [name, held] of assignTasks(tasks, left))
          for (const task of before.get(name)!) assert.ok(held.includes(task), `${name} keeps ${task}`);
        for (const [name, held] of assignTasks(tasks, [...claims, claim('newcomer')]))
          if (name !== 'newcomer') for (const task of held) assert.ok(before.get(name)!.includes(task));
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});
