import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DueSet } from '../../../../../runtime/tasks/state/columns.js';

type Step = { do: 'add'; id: number } | { do: 'drop'; count: number } | { do: 'remove'; modulus: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('add' as const), id: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), count: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), modulus: fc.integer({ min: 1, max: 5 }) }) },
);

test('a due set keeps each id once, in order of arrival, through any additions and removals', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const due = new DueSet();
      let plain: number[] = [];
      for (const next of steps) {
        if (next.do === 'add') {
          assert.equal(due.add(next.id), !plain.includes(next.id));
          if (!plain.includes(next.id)) plain.push(next.id);
        } else if (next.do === 'drop') {
          const count = Math.min(next.count, plain.length);
          due.dropFirst(count);
          plain = plain.slice(count);
        } else {
          due.remove((id) => id % next.modulus === 0);
          plain = plain.filter((id) => id % next.modulus !== 0);
        }
        assert.deepEqual(
          Array.from({ length: due.size }, (_, i) => due.at(i)),
          plain,
        );
        for (const id of plain) assert.ok(due.has(id));
      }
    }),
  );
});
