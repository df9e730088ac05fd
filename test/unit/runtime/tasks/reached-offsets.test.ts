/** Waiting for offsets ends when all of them are reached, or when it is no longer wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReachedOffsets } from '../../../../runtime/tasks/reached-offsets.js';

const at = (partition: number, offset: number) => ({ topic: 'things', partition, offset });

test('those that wait go on when every partition has reached its offset, not before', async () => {
  const reached = new ReachedOffsets();
  let isOver = false;
  const waiting = reached.waitFor([at(0, 5), at(1, 3)]).then(() => {
    isOver = true;
  });
  for (const next of [at(0, 4), at(1, 7), at(2, 9)]) {
    reached.advance([next]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
  }
  reached.advance([at(0, 5)]);
  await waiting;
  await reached.waitFor([at(1, 7)]);
  assert.deepEqual([reached.of(at(0, 0)), reached.of(at(9, 0))], [5, 0]);
});

test('waiting also ends when the signal aborts', async () => {
  const reached = new ReachedOffsets();
  const stop = new AbortController();
  const waiting = reached.waitFor([at(0, 1)], stop.signal);
  stop.abort();
  await waiting;
  await reached.waitFor([at(0, 1)], stop.signal);
});
