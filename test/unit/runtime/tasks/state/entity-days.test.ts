import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EntityDays } from '../../../../../runtime/tasks/state/entity-days.js';

type Step = { do: 'obtain'; entity: number; day: number } | { do: 'drop'; day: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('obtain' as const), entity: fc.nat(9), day: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), day: fc.nat(9) }) },
);

test('rows and chains agree with plain maps over any sequence', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const value: number[] = [];
      const days = new EntityDays(() => undefined, 2);
      const plain = new Map<string, number>();
      let counter = 0;
      for (const next of steps) {
        if (next.do === 'obtain') {
          const row = days.obtain(next.entity, next.day);
          assert.equal(days.created, !plain.has(`${next.entity}/${next.day}`));
          value[row] = ++counter;
          plain.set(`${next.entity}/${next.day}`, counter);
        } else {
          const dropped: number[] = [];
          days.dropDay(next.day, (_row, entity) => dropped.push(entity));
          const expected = [...plain.keys()].filter((key) => key.endsWith(`/${next.day}`));
          assert.deepEqual(dropped.map((entity) => `${entity}/${next.day}`).sort(), expected.sort());
          for (const key of expected) plain.delete(key);
        }
        assert.equal(days.size, plain.size);
      }
      for (let entity = 0; entity < 10; entity++) {
        const chain: number[] = [];
        for (let row = days.first(entity); row >= 0; row = days.next(row)) {
          chain.push(days.day[row]!);
          assert.equal(value[row], plain.get(`${entity}/${days.day[row]}`));
        }
        const expected = [...plain.keys()]
          .filter((key) => key.startsWith(`${entity}/`))
          .map((key) => Number(key.split('/')[1]));
        assert.deepEqual(
          chain,
          expected.sort((a, b) => b - a),
          'newest day first',
        );
      }
    }),
    { numRuns: 500 },
  );
});
