/** I24: kill -9 of a snapshot's process at every step. The error is reported, and the next one reads nothing twice. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Interrupted } from '../../jobs/job.js';
import { counting, openChildScene } from '../support/snapshots/child-scene.js';
import { faultsOf, keysOf, put } from '../support/snapshots/counted.js';

describe('a killed snapshot process', () => {
  for (const [point, passing] of [
    ['capture.noted', 1],
    ['capture.read', 2],
    ['capture.saved', 1],
    ['capture.done', 1],
    ['build.done', 1],
    ['build.synced', 1],
    ['build.finished', 1],
  ] as const)
    test(`at ${point}`, async (t) => {
      const { log, run } = await openChildScene(t);
      await put(log, keysOf(40));
      await assert.rejects(
        run({ execArgv: faultsOf({ point, passing, does: 'kill' }) }),
        (error) => error instanceof Interrupted && /SIGKILL/.test(error.message),
      );
      await put(log, keysOf(5, 'later'));
      const counted = counting(log);
      const built = (await run({ log: counted.log }))!;
      assert.equal(built.manifest.counts['keys'], point === 'capture.noted' ? 45 : 40);
      if (point === 'capture.noted') assert.equal(counted.read, 45);
      else if (point.startsWith('capture.') && point !== 'capture.done')
        assert.ok(counted.read > 0 && counted.read < 40, `${counted.read} read again`);
      else assert.equal(counted.read, 0);
    });
});
