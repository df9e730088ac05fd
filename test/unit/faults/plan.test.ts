/** The hook of a fault plan: the given step, at the given passing, once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../runtime/process/errors.js';
import { passFaultPoint, takeFaultPoints } from '../../../runtime/process/fault-points.js';
import { hookOf } from '../../faults/harness/plan.js';

test('a step happens at its passing, in the given place, and once', async (t) => {
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

test('the event loop is blocked for the given time', async (t) => {
  t.after(() => takeFaultPoints(null));
  takeFaultPoints(hookOf({ steps: [{ point: 'commit.begin', passing: 1, does: 'block', ms: 30 }] }));
  const before = performance.now();
  await passFaultPoint('commit.begin', 'a task');
  assert.ok(performance.now() - before >= 30);
});

test('without a hook, passing a point does nothing', () => {
  assert.equal(passFaultPoint('commit.begin', 'a task'), undefined);
});
