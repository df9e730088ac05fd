/**
 * What is embedded depends only on the newest record of each product: not on what compaction removed, nor on crashes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FreshetError, hasCode } from '../../../../runtime/process/errors.js';
import { takeFaultPoints } from '../../../../runtime/process/fault-points.js';
import { products } from '../../../../topics/events.js';
import { CountingEmbedder, numbersOf, Stage, vectorOf } from './stage.js';

const SEED = 20_261_103;
const IDS = ['a', 'b', 'c', 'd', 'e'];
const TITLES = ['', 'one', 'two', 'three'];

type Step =
  | { readonly do: 'put'; readonly id: string; readonly title: string }
  | { readonly do: 'delete' | 'damage'; readonly id: string }
  | { readonly do: 'compact' | 'forget' | 'settle' }
  | { readonly do: 'model'; readonly model: string }
  | { readonly do: 'crash'; readonly at: number };

const id = fc.constantFrom(...IDS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), id, title: fc.constantFrom(...TITLES) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'damage' as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('compact' as const, 'settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('model' as const), model: fc.constantFrom('m', 'n') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), at: fc.integer({ min: 1, max: 6 }) }) },
);

test(`I29: overwrites, compaction, crashes and changes of the model do not affect the result (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const stage = await Stage.of();
      const newest = new Map<string, string>();
      let model = 'm';
      for (const one of steps) {
        if (one.do === 'put') {
          await stage.put(one.id, { title: one.title });
          newest.set(one.id, one.title);
        } else if (one.do === 'delete' || one.do === 'damage') {
          await stage.put(one.id, one.do === 'delete' ? null : Buffer.from('damaged'));
          newest.set(one.id, '');
        } else if (one.do === 'compact') stage.log.compact(products.name);
        else if (one.do === 'model') model = one.model;
        else if (one.do === 'crash') await crash(stage, model, one.at);
        else await stage.pass(new CountingEmbedder(model));
      }
      await stage.pass(new CountingEmbedder(model));
      const expected = [...newest].filter(([, title]) => title !== '');
      const table = await stage.table();
      assert.deepEqual([...table.keys()].sort(), expected.map(([key]) => key).sort());
      for (const [key, title] of expected) assert.deepEqual(numbersOf(table.get(key)!), vectorOf(model, title));
    }),
    { numRuns: 150, seed: SEED },
  );
});

/** Runs until the `at`-th fault point, which crashes all tasks. */
async function crash(stage: Stage, model: string, at: number): Promise<void> {
  let passed = 0;
  takeFaultPoints(() => {
    if (++passed >= at) throw new FreshetError('connection', 'a crash');
  });
  try {
    await stage.pass(new CountingEmbedder(model));
  } catch (error) {
    if (!hasCode(error, 'connection')) throw error;
  } finally {
    takeFaultPoints(null);
    for (const task of stage.tasks) await task.close();
  }
}
