/**
 * I1, I2: an old copy of the local disk is restored after a crash, like a backup or a re-attached volume: there is only
 * more to read. Files under the wrong name are detected and discarded.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allCheckpoints, checkpointFile } from '../support/checkpoint-files.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const COMMITS_BETWEEN = 30;

test('a stale copy only means more to read, a mixed-up one is not used', { timeout: 180_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const parent = await mkdtemp(join(tmpdir(), 'freshet-disk-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  const folder = join(parent, 'data');
  const backup = join(parent, 'backup');
  const plan = { steps: [], pinned: { tasks: null, confirmed: true } };
  const start = () => scene.start({ plan, settings: { FRESHET_DATA_DIR: folder } });
  scene.sender.start();

  const first = start();
  await first.holds(scene.tasks);
  await allCheckpoints(folder, scene.taskNames);
  await first.kill();
  await cp(folder, backup, { recursive: true });
  const second = start();
  await second.holds(scene.tasks);
  await scene.committed(COMMITS_BETWEEN);
  await second.kill();

  await rm(folder, { recursive: true });
  await cp(backup, folder, { recursive: true });
  const third = start();
  await third.holds(scene.tasks);
  const restores = third.lines.filter(({ event }) => event === 'task_restored');
  assert.deepEqual(
    restores.filter(({ from }) => from !== 'checkpoint'),
    [],
    'an old checkpoint is as good as any other',
  );
  await scene.committed(COMMITS_BETWEEN);
  await third.kill();

  const [one, other] = [checkpointFile(folder, 'activity-0'), checkpointFile(folder, 'activity-1')];
  await rename(one, `${one}.aside`);
  await rename(other, one);
  await rename(`${one}.aside`, other);
  const fourth = start();
  await fourth.holds(scene.tasks);
  const discarded = fourth.lines.filter(({ event }) => event === 'checkpoint_discarded').map(({ task }) => task);
  assert.deepEqual(discarded.sort(), ['features.v1.activity-0', 'features.v1.activity-1']);
  const verdict = await scene.settled();
  report('stale-copy-put-back', { faults: 2, kills: 3, verdict, restoreSeconds: scene.restoreSeconds });
});
