/** The hook of a fault plan: the step named, at the passing named, once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../runtime/process/errors.js';
import { passFaultPoint, takeFaultPoints } from '../../../runtime/process/fault-points.js';
import { hookOf } from '../../faults/harness/plan.js';

test('a step happens at its passing, where it is wanted, and once', async (t) => {
  t.after(() => takeFaultPoints(null));
  takeFaultPoints(
    hookOf({ steps: [{ point: 'commit.begin', where: 'popularity', passing: 2, does: 'throw', code: 'timeout' }] }),
  );
  const pass = async (where: string) => passFaultPoint('commit.begin', where);
  await pass('features.v1.activity-0');
  await pass('features.v1.popularity-0');
  await passFaultPoint('commit.written', 'features.v1.popularity-0');
  await pass('features.v1.activity-1');
  await assert.rejects(pass('features.v1.popularity-1'), (error) => hasCode(error, 'timeout'));
  await pass('features.v1.popularity-0');
  await pass('features.v1.popularity-0');
});

test('the event loop stands still for as long as asked', async (t) => {
  t.after(() => takeFaultPoints(null));
  takeFaultPoints(hookOf({ steps: [{ point: 'commit.begin', passing: 1, does: 'block', ms: 30 }] }));
  const before = performance.now();
  await passFaultPoint('commit.begin', 'a task');
  assert.ok(performance.now() - before >= 30);
});

test('nobody takes hold: passing a point is nothing', () => {
  assert.equal(passFaultPoint('commit.begin', 'a task'), undefined);
});
